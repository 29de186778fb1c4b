"""How a pointer network constructed its routes: step by step, with its probabilities on the map.

What is shown is a document of this form, in which locations are numbered as in the instance, and probabilities are
those of the most likely next locations, at most ten, the chosen one among them::

    {"checkpoint": "tsp20@6a56363d67e9", "decode": "greedy",
     "steps": [{"at": 0, "chosen": 5, "probabilities": [[5, 0.71], [3, 0.2]]}, ...]}
"""

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from services.dashboard.rendering import page
from services.figures.maps import locations


def construction_page(
    request: Request, run: Mapping[str, Any], instance: Mapping[str, Any], explanation: Mapping[str, Any]
) -> Response:
    """The page of a run's construction.

    Parameters
    ----------
    run
        The run's document.
    instance
        The instance's document; one without coordinates has a table only.
    explanation
        The document described above.
    """
    shown = {
        "points": locations(dict(instance)),
        "depot": instance.get("depot", 0),
        "closed": not instance.get("open_routes", False),
        "demand": instance.get("demand"),
        "steps": explanation["steps"],
    }
    return page(request, "construction.html.j2", section="runs", run=run, explanation=explanation, shown=shown)
