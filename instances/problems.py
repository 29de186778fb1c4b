"""The problems there are."""

from instances.errors import InvalidInput
from instances.factoring.problem import FACTORING
from instances.problem import Instance, Problem
from instances.routing.problem import ROUTING

PROBLEMS: tuple[Problem, ...] = (ROUTING, FACTORING)


def problem_named(name: str) -> Problem:
    """The problem of that name; InvalidInput, with the names there are, if it is unknown."""
    for problem in PROBLEMS:
        if problem.name == name:
            return problem
    accepted = ", ".join(problem.name for problem in PROBLEMS)
    raise InvalidInput(f"is {name!r}; accepted are {accepted}", "problem")


def problem_of(instance: Instance) -> Problem:
    """The problem an instance belongs to; TypeError if it belongs to none."""
    for problem in PROBLEMS:
        if problem.owns(instance):
            return problem
    raise TypeError(f"{type(instance).__name__} is no instance of any problem")
