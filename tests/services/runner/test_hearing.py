"""Whatever the referee does, stamps, limits and the next solution do not wait for it."""

import json
import os
import threading
import time

import pytest

from instances.routing.solution import Routes
from services.records import Status
from services.runner import hearing as hearings
from services.runner import slot as slots
from services.runner.hearing import Hearing

GOOD = {"cost": 10, "complete": True, "notes": []}


def test_slow_referee_delays_neither_a_stamp_nor_the_kill(slot, task, referee):
    """With a second of C for each of three verdicts, answers are stamped as they come and the kill is punctual."""
    referee("slow")
    run = slot.run(task("ticking", budget=0.6))
    assert run.status is Status.KILLED
    assert 1.6 <= run.wall_seconds < 1.9
    assert (len(run.trace), run.num_late) == (3, 0)
    assert run.trace[-1].seconds < 0.5


def test_full_backlog_holds_the_solver_and_not_the_limits(slot, task, referee, monkeypatch):
    """A solver that floods a slow referee waits to report; it is killed on time, and what was not judged is counted."""
    monkeypatch.setattr(hearings, "PENDING_SOLUTIONS", 3)
    monkeypatch.setattr(slots, "DRAIN_SECONDS", 0.5)
    referee("slow")
    run = slot.run(task("flooding-reports", budget=0.2))
    assert run.status is Status.KILLED
    assert run.wall_seconds < 1.5
    assert len(run.trace) == 1
    assert run.reason.startswith("still running 1.2 s after the start; not judged in time: ")
    assert slot.run(task("trivial", budget=20.0)).status is Status.FINISHED


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("hanging", "the judge gave no answer within 0.3 s"),
        ("aborting", "the judge died: killed by SIGABRT"),
        ("failing", "ZeroDivisionError: the referee's own fault"),
    ],
)
def test_solution_that_breaks_the_referee_is_rejected(slot, task, referee, monkeypatch, manner, reason):
    """The run goes on: its next solution is judged, by a new judge where need be."""
    monkeypatch.setattr(hearings, "VERDICT_SECONDS", 0.3)
    referee(manner)
    run = slot.run(task("unlucky"))
    assert (run.status, run.num_rejected, len(run.trace)) == (Status.FINISHED, 1, 1)
    assert run.reason == f"rejected: {reason}"


def test_partial_answer_says_what_remains(slot, task, referee):
    """The notes of the last incumbent are the reason when it leaves something to do."""
    referee("leaving")
    run = slot.run(task("trivial"))
    assert run.partial
    assert not run.answered
    assert run.status is Status.NO_SOLUTION
    assert run.reason == "partial: something remains; and more"


def test_incumbents_are_told_live(slot, task):
    """Each improvement is told while the run goes on, in order, and none after its end."""
    told = []
    run = slot.run(task("ticking", budget=0.5), on_incumbent=lambda new: told.append((time.perf_counter(), new)))
    ended = time.perf_counter()
    assert tuple(incumbent for _, incumbent in told) == run.trace
    assert told[-1][0] < ended - 0.8


def test_error_of_the_listener_ends_the_run(slot, task):
    """What on_incumbent raises reaches the caller soon, and the slot lives on."""

    def listen(incumbent):
        raise LookupError("no one listens")

    began = time.perf_counter()
    with pytest.raises(LookupError, match="no one listens"):
        slot.run(task("hanging", budget=30.0), on_incumbent=listen)
    assert time.perf_counter() - began < 5
    assert slot.run(task("trivial")).status is Status.FINISHED


def test_judge_is_warm_and_keeps_off_the_solvers_core(slot, task, instance):
    """One process judges all runs of a slot; it learns a new instance when there is one, and ends with the slot."""
    slot.run(task("trivial"))
    process = slot._judge._process
    assert slot.run(task("nearest")).status is Status.FINISHED
    assert slot._judge._process is process
    if os.sched_getaffinity(0) - slot.cores:
        assert not os.sched_getaffinity(process.pid) & slot.cores
    slot.__exit__()
    assert process.returncode is not None


def test_backlog_is_bounded_in_bytes(monkeypatch):
    """Whoever reports more than fits waits until there is room; one solution always fits."""
    monkeypatch.setattr(hearings, "PENDING_BYTES", 10)
    go_on = threading.Semaphore(0)
    verdicts = iter([{"rejected": "bad"}, GOOD, GOOD])

    def verdict(solution):
        go_on.acquire()
        return next(verdicts)

    with Hearing(b"", 1.0, lambda incumbent: None) as hearing:
        threading.Thread(target=hearing.attend, args=(verdict,)).start()
        hearing.hear(0.1, b"[" + b" " * 20 + b"]")
        blocked = threading.Thread(target=hearing.hear, args=(0.2, b"[2]"))
        blocked.start()
        blocked.join(0.1)
        assert blocked.is_alive()
        go_on.release()
        blocked.join(5)
        assert not blocked.is_alive()
        hearing.hear(0.3, b"[3]")
        hearing.hear(1.1, b"[4]")
        go_on.release(2)
        hearing.drain(5)
    assert [incumbent.solution for incumbent in hearing.trace] == [[2]]
    assert (hearing.num_reported, hearing.num_rejected, hearing.num_late, hearing.num_unjudged) == (4, 1, 1, 0)
    assert hearing.first_rejection == "bad"


def test_solution_of_an_odd_form_is_rejected(slot, instance, task):
    """What is no JSON the judge can decode is rejected; neither side is put out of step."""
    problem = task("").problem
    singles = Routes(tuple((customer,) for customer in instance.customers.tolist()))
    with Hearing(json.dumps(problem.dump(instance)).encode(), 1.0, lambda incumbent: None) as hearing:
        slot._judge.open(hearing)
        for odd in (b"", b"nonsense", b"[" * 100_000, b"1" * 5000, b"null", b"\xff"):
            hearing.hear(0.1, odd)
        hearing.hear(0.2, json.dumps(problem.dump_solution(singles)).encode())
        hearing.drain(20)
    assert (hearing.num_rejected, len(hearing.trace)) == (6, 1)
