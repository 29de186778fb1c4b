"""All comparisons: how far each is, and what can be done with it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from services.dashboard.parts import Context
from services.dashboard.rendering import page, query
from services.dashboard.session import needs
from services.store import pages, queries

SHOWN = 50
"""Comparisons of a page."""

router = APIRouter(dependencies=[Depends(needs("read"))])

State = Literal["", "queued", "running", "finished", "cancelled", "incomplete"]


@router.get("/comparisons")
def show(
    request: Request,
    service: Context,
    state: State = "",
    title: Annotated[str, Query(max_length=200)] = "",
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """The comparisons, the newest first."""
    title = title.strip() if pages.storable(title) else ""
    place = pages.before(pages.start(cursor, str, str), *queries.COMPARISON_ORDER)
    rows = queries.comparisons(
        service.store.engine, SHOWN + 1, place, single=False, state=state or None, title=title or None
    )
    items, following = pages.page(rows, SHOWN, _place)
    chosen = {"state": state, "title": title}
    return page(
        request,
        "comparisons.html.j2",
        section="comparisons",
        twin=query("/v1/comparisons", **chosen, limit=SHOWN, cursor=cursor),
        items=items,
        states=queries.STATES,
        chosen=chosen,
        following=following and query("/comparisons", **chosen, cursor=following),
        first=cursor and query("/comparisons", **chosen),
    )


def _place(row: dict[str, Any]) -> tuple[str, str]:
    return row["created_at"], row["id"]
