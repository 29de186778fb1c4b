"""All instances: sent in, and listed."""

from collections.abc import Collection, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse

from instances.errors import InvalidInput
from instances.files import suffixes
from instances.problems import PROBLEMS
from services import uploads
from services.dashboard.parts import Context, Service
from services.dashboard.rendering import page, query
from services.dashboard.session import check_csrf, needs
from services.store import pages
from services.store.instances import PLACE, Filter
from services.uploads import Received, Upload

router = APIRouter(dependencies=[Depends(needs("read"))])

SHOWN = 50
"""Instances of a page."""
FEATURES = (
    "asymmetric", "capacity", "fleet", "matrix", "open", "route-distance", "route-duration", "service-times",
    "time-windows", "tsp",
)  # fmt: skip
_FIELDS = ("problem", "name", "feature", "min_size", "max_size")
Text = Annotated[str, Query(max_length=255)]


@router.get("/instances")
def list_newest(
    service: Context,
    request: Request,
    problem: Text = "",
    name: Text = "",
    feature: Text = "",
    min_size: Text = "",
    max_size: Text = "",
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """Instances, the newest first."""
    given = zip(_FIELDS, (problem, name, feature, min_size, max_size), strict=True)
    chosen = {field: text.strip() if pages.storable(text) else "" for field, text in given}
    return _listing(service, request, chosen, cursor)


@router.post("/instances", dependencies=[Depends(needs("submit"))])
async def send(service: Context, request: Request) -> Response:
    """Store the instances of files, all or none; of one, lead on to it."""
    async with request.form() as form:
        check_csrf(request, form)
        sent = [file for file in form.getlist("files") if isinstance(file, UploadFile) and file.filename]
        files = [Upload.of_file(file.filename or "", await file.read()) for file in sent]
    return await run_in_threadpool(_stored, service, request, files)


def _stored(service: Service, request: Request, files: Sequence[Upload]) -> Response:
    nothing = dict.fromkeys(_FIELDS, "")
    if not files:
        return _listing(service, request, nothing, None, 422, wrong="Choose a file first.")
    try:
        found = uploads.read(files, None, service.settings.max_instance_size)
    except InvalidInput as error:
        return _listing(service, request, nothing, None, 422, wrong=f"Nothing was stored. {error}")
    new = service.store.add_instances((one.description, one.document) for one in found)
    if len(found) == 1 and not found[0].notes:
        return RedirectResponse(f"/instances/{found[0].description.digest}", 303)
    return _listing(service, request, nothing, None, found=found, new=new)


def _listing(
    service: Service,
    request: Request,
    chosen: dict[str, str],
    cursor: str | None,
    status: int = 200,
    *,
    wrong: str = "",
    found: Sequence[Received] = (),
    new: Collection[str] = (),
) -> Response:
    wanted = Filter(
        problem=chosen["problem"] or None,
        name=chosen["name"] or None,
        feature=chosen["feature"] if chosen["feature"] in FEATURES else None,
        min_size=_number(chosen["min_size"]),
        max_size=_number(chosen["max_size"]),
    )
    place = pages.before(pages.start(cursor, str, str), *PLACE)
    rows, following = pages.page(
        service.instances.newest(wanted, place, SHOWN + 1), SHOWN, lambda row: (row["added_at"], row["digest"])
    )
    return page(
        request, "instances.html.j2", status=status, section="instances",
        twin=query("/v1/instances", **chosen, limit=SHOWN, cursor=cursor),
        rows=rows, chosen=chosen, filtered=any(chosen.values()), problems=[problem.name for problem in PROBLEMS],
        features=FEATURES, accepted=",".join(suffixes()), wrong=wrong, found=found, new=new,
        following=following and query("/instances", **chosen, cursor=following),
        first=cursor and query("/instances", **chosen),
    )  # fmt: skip


def _number(text: str) -> int | None:
    return min(int(text), 2**31 - 1) if text.isascii() and text.isdigit() and len(text) < 20 else None
