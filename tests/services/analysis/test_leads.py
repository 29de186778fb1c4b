"""The sentence on who leads when claims the clear leads alone."""

from services.analysis.sentences import who_leads_when
from services.analysis.summary import Lead


def test_nobody_leads_clearly():
    """A lead that is not clear is not told, and neither is a shared one that is."""
    leads = [Lead(0.1, 0.2, None, True), Lead(0.2, 1.0, "a", False)]
    assert who_leads_when(leads, 1.0) == "Stopped earlier within the runs of 1 s, nobody leads clearly at any time."


def test_one_leads_clearly():
    """Of a solver that leads clearly again and again, the first time is told."""
    leads = [Lead(0.1, 0.2, "b", False), Lead(0.2, 0.5, "a", True), Lead(0.5, 0.7, "b", False), Lead(0.7, 1, "a", True)]
    assert who_leads_when(leads, 1.0).endswith("a is the only one to lead clearly, first at 0.2 s.")


def test_the_order_turns():
    """Where two lead clearly, one after the other, both spans are told."""
    leads = [Lead(0.1, 0.2, "a", True), Lead(0.2, 0.3, "a", False), Lead(0.3, 0.4, "a", True), Lead(0.5, 1, "b", True)]
    said = "the order turns: a from 0.1 s to 0.4 s and b from 0.5 s to 1 s lead clearly."
    assert who_leads_when(leads, 1.0) == f"Stopped earlier within the runs of 1 s, {said}"
