"""What the pages need of the application that they are part of."""

import asyncio
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from services import orders
from services.dashboard.session import check_csrf
from services.store.instances import Instances

PATIENCE_SECONDS = 0.2
"""How long a page waits for what solvers say of themselves, which takes some seconds when they are first asked."""


class Catalogue(Protocol):
    """What solvers there are."""

    async def solvers(self) -> list[dict[str, Any]]:
        """All descriptions, or names with the errors that make them unavailable."""


class Service(orders.Service, Protocol):
    """The parts of ``app.state.service`` that pages use."""

    @property
    def instances(self) -> Instances: ...

    @property
    def catalogue(self) -> Catalogue: ...


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Context = Annotated[Service, Depends(_service)]


async def known_solvers(service: Service) -> list[dict[str, Any]] | None:
    """What the solvers say of themselves; None while they are still being asked."""
    try:
        return await asyncio.wait_for(service.catalogue.solvers(), PATIENCE_SECONDS)
    except TimeoutError:
        return None


async def checked(request: Request) -> None:
    """Refuse forms that no page of this session sent."""
    async with request.form() as form:
        check_csrf(request, form)
