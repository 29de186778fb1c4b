"""A new comparison: a form made from what solvers and generators say of themselves."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from dataclasses import field as with_default
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData, ImmutableMultiDict, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from instances.errors import InvalidInput
from instances.files import suffixes
from instances.problems import PROBLEMS
from services import orders, submission, uploads
from services.dashboard.parts import Context, Service
from services.dashboard.rendering import page, path_of
from services.dashboard.session import check_csrf, needs, viewer
from services.generators import describe_generators
from services.orders import Generator, Order
from services.quantities import parse_bytes, parse_seconds
from services.store import pages, queries, workers
from services.store.instances import Filter
from services.submission import Full, Terms, new_name
from services.uploads import Upload
from solvers import spec

LISTED = 100
"""Stored instances shown at a time."""
MAX_CHOSEN = 10_000
"""Stored instances of one comparison made by the form; the API takes more."""
MAX_FIELDS = 5_000
MAX_FILES = 1_000
HIDDEN = frozenset({"exec"})
"""Solvers that are not offered over HTTP."""
_DEFAULTS = {
    "title": "", "source": "stored", "problem": "", "name": "", "min_size": "", "max_size": "", "all": "",
    "kind": "routing/uniform", "count": "10", "generator_seed": "", "more": "", "budget": "1s", "seeds": "1",
    "seed": "0", "threads": "1", "memory": "4G", "reference": "", "priority": "0",
}  # fmt: skip
_WHOLE = {"seeds": (1, 10_000), "seed": (0, 2**53), "threads": (1, 1024), "priority": (-10, 10)}
_SIZE = {"size": "50", "bits": "48"}
"""What a generator's first field shows until it is filled in."""

_OF_SOLVER = re.compile(r"solver ['\"].*?['\"](?:, (\w+))?: (.*)", re.DOTALL)
"""What a solver itself refuses comes from its process in one text: the parameter, and what is wrong with it."""

router = APIRouter(dependencies=[Depends(needs("submit"))])


@dataclass(frozen=True)
class Draft:
    """What a form holds: single fields as text, the digests and the solvers that are ticked."""

    texts: dict[str, str]
    instances: tuple[str, ...]
    solvers: tuple[str, ...]
    errors: dict[str, str] = with_default(default_factory=dict)
    """What is wrong, by the field it is about; of the whole under the empty name."""

    @classmethod
    def of(cls, form: ImmutableMultiDict[str, Any]) -> "Draft":
        """What was sent, or stands in a link."""
        texts = {name: value for name, value in form.items() if isinstance(value, str) and pages.storable(value)}
        instances = [value for value in form.getlist("instance") if re.fullmatch("[0-9a-f]{64}", str(value))]
        solvers = [value for value in form.getlist("solver") if isinstance(value, str)]
        return cls({**_DEFAULTS, **texts}, tuple(dict.fromkeys(instances)), tuple(dict.fromkeys(solvers)))

    def __getitem__(self, name: str) -> str:
        return self.texts.get(name, "").strip()


@router.get("/comparisons/new")
async def form(request: Request, service: Context) -> Response:
    """The form; fields that stand in the link are filled in."""
    return await _form(request, service, Draft.of(request.query_params))


@router.post("/comparisons/new")
async def submit(request: Request, service: Context) -> Response:
    """Make the comparison, or show the form again: with what is wrong, other instances, or what it would cost."""
    async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as sent:
        check_csrf(request, sent)
        draft, files = Draft.of(sent), await _files(sent)
    wanted = draft["do"]
    if files and draft["source"] == "upload":
        draft = await run_in_threadpool(_keep, service, draft, files)
    if wanted in ("filter", "estimate"):
        return await _form(request, service, draft, status=422 if draft.errors else 200, estimated=wanted == "estimate")
    caller = viewer(request)
    solvers = await service.catalogue.solvers()
    made = await run_in_threadpool(_place, service, draft, solvers, caller.key if caller is not None else None)
    if isinstance(made, str):
        return RedirectResponse(path_of("comparisons", made), 303)
    return await _form(request, service, made, status=422)


async def _form(
    request: Request, service: Service, draft: Draft, *, status: int = 200, estimated: bool = False
) -> Response:
    solvers = await service.catalogue.solvers()
    return await run_in_threadpool(_render, request, service, draft, solvers, status, estimated)


def _render(
    request: Request, service: Service, draft: Draft, solvers: list[dict[str, Any]], status: int, estimated: bool
) -> Response:
    chosen, draft = _filter(draft)
    newest = service.instances.newest(chosen, pages.before(None), LISTED + 1)
    listed = {row["digest"]: row for row in newest[:LISTED]}
    known = queries.descriptions(service.store.engine, [one for one in draft.instances if one not in listed])
    kinds = describe_generators()
    slots = _slots(service)
    return page(
        request,
        "new_comparison.html.j2",
        status=status,
        section="comparisons",
        draft=draft,
        ticked=list(known.values()),
        listed=list(listed.values()),
        more_fit=len(newest) > LISTED,
        problems=[problem.name for problem in PROBLEMS],
        accepted=",".join(suffixes()),
        kinds=kinds,
        solvers=_by_problem(solvers),
        control=control,
        size_hint=_SIZE,
        slots=slots,
        estimate=_estimate(service, draft, solvers, chosen, slots) if estimated else None,
        max_chosen=MAX_CHOSEN,
    )


def control(parameter: dict[str, Any]) -> dict[str, Any]:
    """What a parameter is asked for with: a choice, a number or a text."""
    kind, _, none = parameter["type"].partition(" or ")
    if "|" in kind or kind == "bool":
        choices = ["true", "false"] if kind == "bool" else kind.split("|")
        return {"kind": "select", "choices": [*choices, *filter(None, [none])]}
    if kind in ("int", "float"):
        return {"kind": "number", "step": "1" if kind == "int" else "any"}
    return {"kind": "text"}


async def _files(form: FormData) -> list[Upload]:
    """The files that were sent; a form without one sends an empty one."""
    files = [value for value in form.getlist("files") if isinstance(value, UploadFile) and value.filename]
    return [Upload.of_file(file.filename or "", await file.read()) for file in files]


def _keep(service: Service, draft: Draft, files: list[Upload]) -> Draft:
    """The draft with the instances of the files stored and ticked, or with what is wrong with them."""
    try:
        found = uploads.read(files, None, service.settings.max_instance_size)
    except InvalidInput as error:
        return replace(draft, errors={**draft.errors, "files": str(error)})
    service.store.add_instances((one.description, one.document) for one in found)
    digests = dict.fromkeys([*draft.instances, *(one.description.digest for one in found)])
    texts = {**draft.texts, "source": "stored", "all": ""}
    return replace(draft, instances=tuple(digests), texts=texts)


def _place(service: Service, draft: Draft, solvers: list[dict[str, Any]], owner: str | None) -> str | Draft:
    """The name of the comparison that was made, or the draft with what is wrong."""
    errors = dict(draft.errors)

    def read(name: str, convert: Any) -> Any:
        try:
            return convert(draft[name])
        except InvalidInput as error:
            errors[name] = error.message
            return None

    numbers = {name: read(name, lambda text, name=name: _whole(text, *_WHOLE[name])) for name in _WHOLE}
    budget = read("budget", lambda text: parse_seconds(text, "budget"))
    memory = read("memory", lambda text: parse_bytes(text, "memory"))
    specs = _specs(draft, solvers)
    if not specs:
        errors["solvers"] = "Tick at least one solver."
    if len(draft["title"]) > 200 or not draft["title"].isprintable():
        errors["title"] = "A line of at most 200 characters is accepted."
    instances = _instances(service, draft, errors)
    if errors:
        return replace(draft, errors=errors)
    terms = Terms(
        solvers=specs, budget=budget, seeds=numbers["seeds"], seed=numbers["seed"], threads=numbers["threads"],
        memory=memory, reference=draft["reference"] or None,
    )  # fmt: skip
    order = Order(terms, instances, draft["title"], numbers["priority"])
    name, asked = new_name(), ""
    try:
        # Each solver is asked by itself, so that what it refuses can be said where its spec stands.
        submission.check_terms(service.settings, terms, order.num_instances)
        for asked in specs:
            submission.resolved_spec(asked)
        asked = ""
        orders.place(service, order, owner, name)
    except InvalidInput as error:
        return replace(draft, errors=dict([_placed(error, draft, asked)]))
    except Full as full:
        raise HTTPException(429, str(full), {"Retry-After": str(full.retry_seconds)}) from None
    return name


def _instances(service: Service, draft: Draft, errors: dict[str, str]) -> Sequence[str] | Generator:
    if draft["source"] == "generator":
        problem, _, kind = draft["kind"].partition("/")
        prefix = f"g:{draft['kind']}:"
        given = {name.removeprefix(prefix): draft[name] for name in draft.texts if name.startswith(prefix)}
        parameters: dict[str, Any] = {name: text for name, text in given.items() if text}
        for name in _SIZE.keys() & parameters.keys():
            try:
                parameters[name] = _whole(parameters[name], 1, service.settings.max_instance_size)
            except InvalidInput as error:
                errors[prefix + name] = error.message
        count, seed = 0, None
        try:
            count = _whole(draft["count"], 1, service.settings.max_runs)
        except InvalidInput as error:
            errors["count"] = error.message
        try:
            seed = _whole(draft["generator_seed"], 0, 2**53) if draft["generator_seed"] else None
        except InvalidInput as error:
            errors["generator_seed"] = error.message
        return Generator(problem, kind, count, parameters, seed)
    digests = list(draft.instances)
    if draft["source"] == "stored" and draft["all"]:
        chosen, _ = _filter(draft)
        fitting = [row["digest"] for row in service.instances.newest(chosen, pages.before(None), MAX_CHOSEN + 1)]
        if len(fitting) > MAX_CHOSEN:
            errors["instances"] = f"More than {MAX_CHOSEN} fit; choose fewer, or use the API."
        digests = list(dict.fromkeys([*digests, *fitting]))
    if not digests and not {"files", "instances"} & errors.keys():
        name, words = (
            ("files", "Choose a file.") if draft["source"] == "upload" else ("instances", "Tick at least one.")
        )
        errors[name] = words
    return digests


def _specs(draft: Draft, solvers: list[dict[str, Any]]) -> list[str]:
    """The specs of the solvers that are ticked, with what differs from the defaults, and those that are written out."""
    offered = {solver["name"]: solver.get("parameters") or [] for solver in solvers}
    found = []
    for name in draft.solvers:
        given = {parameter["name"]: draft[f"s:{name}:{parameter['name']}"] for parameter in offered.get(name, [])}
        defaults = {parameter["name"]: parameter["default"] for parameter in offered.get(name, [])}
        found.append(spec.canonical(name, {key: text for key, text in given.items() if text and text != defaults[key]}))
    return list(dict.fromkeys([*found, *_further(draft)]))


def _further(draft: Draft) -> list[str]:
    """The specs that are written out, one a line."""
    return list(filter(None, map(str.strip, draft.texts["more"].splitlines())))


def _filter(draft: Draft) -> tuple[Filter, Draft]:
    """The filter of stored instances; a size that is no number is left out, and said."""
    sizes: dict[str, int | None] = {}
    errors = dict(draft.errors)
    for name in ("min_size", "max_size"):
        try:
            sizes[name] = _whole(draft[name], 0, 2**31 - 1) if draft[name] else None
        except InvalidInput as error:
            sizes[name], errors[name] = None, error.message
    chosen = Filter(draft["problem"] or None, draft["name"] or None, None, sizes["min_size"], sizes["max_size"])
    return chosen, replace(draft, errors=errors)


def _estimate(
    service: Service, draft: Draft, solvers: list[dict[str, Any]], chosen: Filter, slots: int
) -> dict[str, Any]:
    """What the comparison would cost; of what cannot be read yet nothing is counted."""
    num_instances = len(draft.instances)
    if draft["source"] == "generator":
        num_instances = _number(draft["count"])
    elif draft["source"] == "stored" and draft["all"]:
        rows = service.instances.newest(chosen, pages.before(None), MAX_CHOSEN)
        num_instances = len({row["digest"] for row in rows} | set(draft.instances))
    try:
        budget = parse_seconds(draft["budget"])
    except InvalidInput:
        budget = 0.0
    num_runs = num_instances * len(_specs(draft, solvers)) * _number(draft["seeds"])
    seconds = num_runs * budget
    return {"num_runs": num_runs, "seconds": seconds, "left": seconds / slots if slots else None}


def _slots(service: Service) -> int:
    """Runs that the workers seen of late make at a time."""
    lease = service.settings.lease_seconds
    return sum(worker.slots for worker in workers.known(service.store.engine) if worker.seen_seconds < lease)


def _by_problem(solvers: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The solvers that are offered, by the problem they solve; those that are unavailable last."""
    found: dict[str, list[dict[str, Any]]] = {problem.name: [] for problem in PROBLEMS}
    for solver in solvers:
        if solver["name"] not in HIDDEN:
            found.setdefault(solver.get("problem") or "unavailable", []).append(solver)
    return {problem: offered for problem, offered in found.items() if offered}


def _placed(error: InvalidInput, draft: Draft, asked: str) -> tuple[str, str]:
    """The field that an error of the service is about, or one of the solver of the spec ``asked``; and what it says."""
    where, message = error.where, error.message
    if asked:
        of_solver = _OF_SOLVER.fullmatch(str(error))
        parameter, message = (of_solver[1], of_solver[2]) if of_solver else (None, str(error))
        if asked in _further(draft):
            return "more", f"{asked}: {message}"
        field = f"s:{asked.partition(':')[0]}:{parameter or re.split('[ :]', message)[0]}"
        return (field if field in draft.texts else "solvers"), message
    if where.startswith("generator"):
        place = where.removeprefix("generator").lstrip(".: ")
        of_kind = f"g:{draft['kind']}:{place.removeprefix('parameters').lstrip('., ')}"
        field = {"count": "count", "seed": "generator_seed"}.get(place, of_kind if of_kind in draft.texts else "kind")
        return field, message
    if where.startswith("instances"):
        return "instances", message
    return (where if where in draft.texts or where == "solvers" else ""), message


def _whole(text: str, least: int, most: int) -> int:
    number = int(text) if re.fullmatch("[+-]?[0-9]{1,18}", text) else None
    if number is None or not least <= number <= most:
        raise InvalidInput(f"{text!r} is not accepted; accepted are whole numbers from {least} to {most}.")
    return number


def _number(text: str) -> int:
    """A number as far as it can be read, for an estimate."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0
