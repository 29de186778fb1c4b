"""A client of the service: what its API offers, as calls that survive a lost connection and a server that restarts.

>>> with Client("http://127.0.0.1:8000") as client:
...     client.add_instances([{"problem": "factoring", "version": 1, "n": "8051"}])
"""

import contextlib
import json
import math
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import quote

import httpx

from instances.errors import InvalidInput
from services.records import Incumbent, Run, Status

Document = dict[str, Any]
"""A JSON object as the service sends it; /v1/openapi.json says what stands in each."""

PATIENCE_SECONDS = 30.0
CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
MAKE_SECONDS = 300.0
"""How long an answer to a POST may take: solvers are asked for their parameters, instances read."""
SILENCE_SECONDS = 40.0
"""A stream of events that says nothing for so long, not even that it lives, is lost."""
POLL_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
UPLOAD_BYTES = 4 * 1024**2
UPLOAD_INSTANCES = 1_000
PAGE = 1_000
RECORDS_PAGE = 100
DONE = ("finished", "cancelled", "incomplete")
"""States of comparisons that have no work left."""
_PASSING = frozenset({429, 502, 503, 504})


class ServiceError(Exception):
    """A request that the service did not carry out.

    ``status`` is the HTTP status, None where there was no answer; ``where`` the field, parameter or file it is about.
    What is wrong with the request itself (422) is raised as InvalidInput, as it would be without a server.
    """

    def __init__(self, status: int | None, detail: str, where: str = "") -> None:
        super().__init__(f"{where}: {detail}" if where else detail)
        self.status = status
        self.detail = detail
        self.where = where


@dataclass(frozen=True)
class Event:
    """One of a run's events: ``state``, ``incumbent`` (seconds and cost), ``restart``, ``end`` or ``deleted``."""

    kind: str
    data: Document
    id: str = ""


class Client:
    """A connection to a service.

    Every call may be made again without harm, and is: after a lost connection, and when the service is busy or
    restarting (429, 502, 503, 504), with growing pauses. What makes something carries an Idempotency-Key for that.

    Parameters
    ----------
    url
        Where the service is: ``http://127.0.0.1:8000``.
    key
        API key, where the service asks for one.
    transport
        What carries the requests, in place of the network.
    patience
        For how many seconds a call is tried again; infinity for ever.
    tell
        Told in words that the service cannot be reached, and that it answers again.

    Raises
    ------
    InvalidInput
        If the URL is none; and by every call that the service finds wrong (422).
    ServiceError
        By every call that the service refuses otherwise, or does not answer.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        transport: httpx.BaseTransport | None = None,
        *,
        patience: float = PATIENCE_SECONDS,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.url = _checked(url)
        self.patience = patience
        self._tell = tell
        self._http = httpx.Client(
            base_url=self.url,
            headers={"User-Agent": "versus"} | ({"Authorization": f"Bearer {_plain(key)}"} if key else {}),
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            transport=transport,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def system(self) -> Document:
        """The version of the service, what it is doing, its workers and its limits."""
        return self._get("/v1/system")

    def solvers(self) -> list[Document]:
        """All solvers with their parameters."""
        return list(self._get("/v1/solvers")["items"])

    def verify(self, instance: str | Document, solution: Any) -> Document:
        """The referee's verdict on the document of a solution to an instance, a digest or a document itself."""
        known = {"instance": instance} if isinstance(instance, str) else {"document": instance}
        return self._post("/v1/verify", {**known, "solution": solution})

    # Instances

    def has_instance(self, digest: str) -> bool:
        """Whether an instance is stored there."""
        # Answered with "not modified", so that the instance itself stays where it is.
        unchanged = {"If-None-Match": f'"{digest}.json"'}
        try:
            self._send("GET", f"/v1/instances/{_part(digest)}/file", headers=unchanged)
        except ServiceError as error:
            if error.status == 404:
                return False
            raise
        return True

    def instance(self, digest: str) -> Document:
        """An instance in words and numbers, and its ``document``."""
        return self._get(f"/v1/instances/{_part(digest)}")

    def instances(self, **filters: str | int) -> Iterator[Document]:
        """Stored instances, the newest first; filters are ``problem``, ``name``, ``feature`` and so on."""
        return self._pages("/v1/instances", filters)

    def add_instances(self, documents: Iterable[Mapping[str, Any]]) -> list[Document]:
        """Store instances; for each its digest and name, and whether it is new there.

        They are sent in several requests that the service accepts: of these each is carried out whole, or not at all.
        """
        limit = min(UPLOAD_BYTES, int(self.system()["limits"]["max_body_bytes"]))
        stored: list[Document] = []
        for lines in _chunks(documents, limit):
            headers = {"Content-Type": "application/x-ndjson"}
            answer = self._send("POST", "/v1/instances", content=b"".join(lines), headers=headers)
            stored += answer.json()["items"]
        return stored

    # Comparisons

    def compare(self, request: Mapping[str, Any], idempotency_key: str | None = None) -> Document:
        """Queue a comparison; the same key again, within a day, gives the one that was made.

        ``request`` has ``instances`` (digests) or a ``generator``, ``solvers`` and ``budget`` ("2s"); and if need be
        ``seeds``, ``seed``, ``threads``, ``memory`` ("4G"), ``reference``, ``title`` and ``priority``.
        """
        return self._post("/v1/comparisons", dict(request), idempotency_key)

    def comparison(self, id: str) -> Document:
        """The terms of a comparison, its ``state``, and its ``counts`` of queued, running and ended runs."""
        return self._get(f"/v1/comparisons/{_part(id)}")

    def comparisons(self, **filters: str) -> Iterator[Document]:
        """Comparisons, the newest first; filters are ``state`` and ``title``."""
        return self._pages("/v1/comparisons", filters)

    def watch(self, id: str) -> Iterator[Document]:
        """How far a comparison is, whenever that changes, until it is done: the last one's state is one of DONE.

        Each has ``state``, ``num_runs``, ``counts`` and ``seconds_left``. They come as events; where no events come
        through, the service is asked every two seconds.
        """
        while True:
            document = self.comparison(id)
            yield document
            if document["state"] in DONE:
                return
            with contextlib.suppress(httpx.TransportError, ServiceError):
                for event in self._events(f"/v1/comparisons/{_part(id)}/events"):
                    if event.kind == "progress":
                        yield event.data
                    elif event.kind in ("end", "deleted"):
                        break
                else:
                    # It ended before its time, so that the next one may, too.
                    time.sleep(POLL_SECONDS)
                continue
            time.sleep(POLL_SECONDS)

    def wait(self, id: str) -> Document:
        """The comparison when it is done."""
        for _ in self.watch(id):
            pass
        return self.comparison(id)

    def cancel(self, id: str) -> Document:
        """Cancel a comparison: what has ended stays."""
        return self._post(f"/v1/comparisons/{_part(id)}/cancel")

    def runs(self, id: str, **filters: str) -> Iterator[Document]:
        """The runs of a comparison in short, queued ones too; filters are ``solver``, ``status`` and ``instance``."""
        return self._pages(f"/v1/comparisons/{_part(id)}/runs", filters)

    def records(self, id: str) -> Iterator[Run]:
        """All that is known of the runs of a comparison that have ended, each with its trace and its last solution."""
        return map(_record, self._pages(f"/v1/comparisons/{_part(id)}/records", {}, RECORDS_PAGE))

    # Runs

    def solve(self, request: Mapping[str, Any], idempotency_key: str | None = None) -> Document:
        """Queue one run; ``request`` has ``instance`` (a digest) or ``document``, ``solver``, ``budget`` and so on."""
        return self._post("/v1/runs", dict(request), idempotency_key)

    def run(self, id: str, *, log: bool = False) -> Document:
        """A run, whether queued, running or ended; with the end of its ``log`` if that is asked for."""
        return self._get(f"/v1/runs/{_part(id)}", {"log": "true"} if log else {})

    def solution(self, id: str) -> Any:
        """The document of the best solution of a run that has ended with one."""
        return self._get(f"/v1/runs/{_part(id)}/solution")["solution"]

    def events(self, id: str) -> Iterator[Event]:
        """The events of a run, up to ``end`` or ``deleted``; after a lost connection they go on where they were."""
        last, pause = "", _Pause(self.patience)
        while True:
            try:
                for event in self._events(f"/v1/runs/{_part(id)}/events", last):
                    last, pause = event.id or last, _Pause(self.patience)
                    yield event
                    if event.kind in ("end", "deleted"):
                        return
                error: Exception = ServiceError(None, "the stream of events ended before the run")
            except httpx.TransportError as lost:
                error = self._unanswered(lost)
            except ServiceError as refused:
                if refused.status not in _PASSING:
                    raise
                error = refused
            if not pause.rest():
                raise error

    def cancel_run(self, id: str) -> Document:
        """Cancel a run; one that has ended stays as it is."""
        return self._post(f"/v1/runs/{_part(id)}/cancel")

    # The wire

    def _get(self, path: str, params: Mapping[str, str | int] | None = None) -> Document:
        document: Document = self._send("GET", path, params=params).json()
        return document

    def _post(self, path: str, body: Document | None = None, idempotency_key: str | None = None) -> Document:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        content = json.dumps(body).encode() if body is not None else b""
        answer = self._send("POST", path, content=content, headers=headers, idempotency_key=idempotency_key)
        document: Document = answer.json()
        return document

    def _pages(self, path: str, params: Mapping[str, str | int], limit: int = PAGE) -> Iterator[Document]:
        cursor = None
        while True:
            page = self._get(path, {**params, "limit": limit, **({"cursor": cursor} if cursor else {})})
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> httpx.Response:
        """The answer to a request, made until there is one; an answer that says no is raised."""
        sent = dict(headers or {})
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        if method == "POST":
            sent["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
            timeout = httpx.Timeout(MAKE_SECONDS, connect=CONNECT_SECONDS)
        pause = _Pause(self.patience)
        told = False
        while True:
            after = None
            try:
                answer = self._http.request(method, path, params=params, content=content, headers=sent, timeout=timeout)
            except httpx.TransportError as lost:
                error = self._unanswered(lost)
            else:
                if answer.is_success or answer.status_code == 304:
                    if told:
                        self._tell(f"{self.url} answers again")
                    return answer
                error = _refused(answer)
                after = _retry_after(answer)
                # The first request with this key is still under way, its answer to come.
                under_way = answer.status_code == 409 and after is not None
                if answer.status_code not in _PASSING and not under_way:
                    raise error if answer.status_code != 422 else InvalidInput(error.detail, error.where)
            if not pause.may_rest():
                raise error
            if not told and not pause.first:
                self._tell(f"{error}; trying again")
                told = True
            pause.rest(after)

    def _events(self, path: str, last: str = "") -> Iterator[Event]:
        """The events of one stream, as it comes; httpx.TransportError if it is lost."""
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
            if not answer.is_success:
                answer.read()
                raise _refused(answer)
            yield from _parsed(answer.iter_lines())

    def _unanswered(self, lost: httpx.TransportError) -> ServiceError:
        reason = "does not answer in time" if isinstance(lost, httpx.TimeoutException) else "cannot be reached"
        return ServiceError(None, f"{self.url} {reason} ({str(lost) or type(lost).__name__})")


class _Pause:
    """Growing pauses, until patience is at its end."""

    def __init__(self, patience: float) -> None:
        self._until = time.monotonic() + patience
        self._seconds = FIRST_PAUSE_SECONDS
        self.first = True

    def may_rest(self) -> bool:
        return time.monotonic() < self._until

    def rest(self, least: float | None = None) -> bool:
        """Pause, at least for so long; false, and no pause, if patience is at its end."""
        if not self.may_rest():
            return False
        # Not all clients that one outage hit come back in the same moment.
        seconds = max(self._seconds * random.uniform(0.5, 1.0), least or 0.0)
        time.sleep(min(seconds, max(0.0, self._until - time.monotonic()) if math.isfinite(self._until) else seconds))
        self._seconds = min(2 * self._seconds, LONGEST_PAUSE_SECONDS)
        self.first = False
        return True


def _checked(url: str) -> str:
    """The URL of a service without its last slash; InvalidInput if it is none."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"{error}; accepted is http://HOST:PORT or https://HOST", url) from None
    if parts.scheme not in ("http", "https") or not parts.host or parts.query or parts.fragment:
        raise InvalidInput("is no URL of a service; accepted is http://HOST:PORT or https://HOST", url)
    if parts.userinfo:
        raise InvalidInput("holds a name or a password; accepted is an API key in VERSUS_API_KEY", parts.host)
    return url.rstrip("/")


def _plain(key: str) -> str:
    """A key that may stand in a header; InvalidInput, which does not repeat it, if it may not."""
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise InvalidInput("is no API key; `versus keys add` makes one", "VERSUS_API_KEY")
    return key


def _part(text: str) -> str:
    return quote(text, safe="")


def _chunks(documents: Iterable[Mapping[str, Any]], limit: int) -> Iterator[Sequence[bytes]]:
    """Documents as lines, as many at a time as one request may hold; one that alone is too long, alone."""
    chunk: list[bytes] = []
    size = 0
    for document in documents:
        line = json.dumps(document, separators=(",", ":")).encode() + b"\n"
        if chunk and (size + len(line) > limit or len(chunk) == UPLOAD_INSTANCES):
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield chunk


def _refused(answer: httpx.Response) -> ServiceError:
    """What an answer that says no means: its problem details, or that it is not from the service."""
    try:
        problem = answer.json()
        detail, where = str(problem["detail"]), str(problem.get("where") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        url = answer.request.url.copy_with(query=None)
        return ServiceError(answer.status_code, f"{url} answers {answer.status_code} {answer.reason_phrase}")
    return ServiceError(answer.status_code, detail, where)


def _retry_after(answer: httpx.Response) -> float | None:
    """After how many seconds to ask again, at most a minute; None where the answer does not say."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), 60.0) if text.isascii() and text.isdigit() else None


def _parsed(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events; comments, which say that the stream lives, are passed over."""
    kind, id = "", ""
    data: list[str] = []
    for line in lines:
        if line == "":
            if data:
                yield Event(kind or "message", json.loads("\n".join(data)), id)
            kind, id, data = "", "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "id":
            id = value
        elif name == "data":
            data.append(value)


def _record(item: Document) -> Run:
    """A run of the service as a value; its trace's last incumbent has the solution."""
    known = {field.name for field in fields(Run)}
    values = {name: value for name, value in item.items() if name in known}
    solution = item["solution"]
    encoded = None if solution is None else json.dumps(solution, separators=(",", ":")).encode()
    last = len(item["trace"]) - 1
    values["trace"] = tuple(
        Incumbent(seconds, cost, encoded if place == last else None)
        for place, (seconds, cost) in enumerate(item["trace"])
    )
    return Run(key=item["id"], **{**values, "status": Status(item["status"])})
