"""What there is to choose from: solvers, and generators of instances."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from services.api.bodies import StrictRoute
from services.api.context import Context
from services.api.errors import Refusal
from services.api.schemas import Generators, Solver, Solvers
from services.api.security import Reader
from services.generators import describe_generators

router = APIRouter(prefix="/v1", route_class=StrictRoute)


@router.get(
    "/solvers", response_model=Solvers, response_model_exclude_unset=True, tags=["solvers"], summary="List solvers"
)
async def list_all(service: Context, _caller: Reader) -> dict[str, Any]:
    """All solvers with their parameters; those that cannot be used here with the reason."""
    return {"items": await service.catalogue.solvers()}


@router.get(
    "/solvers/{name}",
    response_model=Solver,
    response_model_exclude_unset=True,
    tags=["solvers"],
    summary="Show a solver",
)
async def show(
    service: Context, _caller: Reader, name: Annotated[str, Path(max_length=200, examples=["pyvrp"])]
) -> dict[str, Any]:
    """A solver with its parameters."""
    known = await service.catalogue.solvers()
    for description in known:
        if description["name"] == name:
            return description
    names = ", ".join(description["name"] for description in known)
    raise Refusal(404, f"there is no such solver; there are {names}", "name")


@router.get("/generators", response_model=Generators, tags=["instances"], summary="List generators")
def list_generators(_caller: Reader) -> dict[str, Any]:
    """The kinds of instances that can be made, with their parameters."""
    return {"items": describe_generators()}
