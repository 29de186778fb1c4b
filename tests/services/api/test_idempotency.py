"""A request with an Idempotency-Key is carried out once, whoever dies on the way."""

import threading

import httpx
import pytest
import sqlalchemy as sa
from fastapi.responses import JSONResponse

from services import orders
from services.api.app import create_app
from services.api.context import Service
from services.api.errors import Refusal
from services.api.idempotency import once
from services.api.security import Caller
from services.orders import Generator, Order
from services.settings import Settings
from services.store import tables
from services.store.idempotency import ABANDONED_SECONDS, KEPT_SECONDS
from services.store.store import Store
from services.submission import Terms

ALICE, BOB = (Caller(name, frozenset({"submit"})) for name in ("alice", "bob"))
NOBODY = Caller(None, frozenset({"submit"}))


@pytest.fixture
def service(store: Store, settings: Settings) -> Service:
    """The parts of an application."""
    service: Service = create_app(store, lambda _needs, _number: None, settings).state.service
    return service


class Work:
    """What a request does, counted."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, _name: str) -> JSONResponse:
        self.times += 1
        return JSONResponse({"time": self.times}, 202, {"Location": f"/v1/things/{self.times}"})


def age(store: Store, seconds: float) -> None:
    """Let all requests have come so much earlier."""
    with store.engine.begin() as connection:
        column = tables.idempotent_requests.c.created_at
        connection.execute(tables.idempotent_requests.update().values(created_at=column - seconds))


def test_the_same_request_is_answered_as_before(service: Service) -> None:
    """Status, Location and body are those of the first answer, and nothing is done twice."""
    work = Work()
    first, again = (once(service, ALICE, "k", b"payload", work) for _ in range(2))
    assert work.times == 1
    assert (again.status_code, bytes(again.body)) == (first.status_code, bytes(first.body))
    assert again.headers["location"] == "/v1/things/1"


def test_without_a_key_every_request_is_carried_out(service: Service) -> None:
    """Who sends no key asks for no memory."""
    work = Work()
    for _ in range(2):
        once(service, ALICE, None, b"payload", work)
    assert work.times == 2


def test_another_request_with_the_key_is_refused(service: Service) -> None:
    """A key stands for one payload."""
    once(service, ALICE, "k", b"payload", Work())
    with pytest.raises(Refusal) as refused:
        once(service, ALICE, "k", b"other", Work())
    assert refused.value.status == 422
    assert refused.value.where == "Idempotency-Key"


def test_callers_do_not_share_keys(service: Service) -> None:
    """The same key of another caller, or of none, is another key."""
    work = Work()
    for caller in (ALICE, BOB, NOBODY, NOBODY):
        once(service, caller, "k", b"payload", work)
    assert work.times == 3


def test_a_request_under_way_is_not_carried_out_beside(service: Service) -> None:
    """While the first is under way the second is told to wait; afterwards it gets the first's answer."""
    started, go_on = threading.Event(), threading.Event()

    def slow(_name: str) -> JSONResponse:
        started.set()
        assert go_on.wait(30)
        return JSONResponse({}, 202)

    thread = threading.Thread(target=once, args=(service, ALICE, "k", b"payload", slow))
    thread.start()
    assert started.wait(30)
    with pytest.raises(Refusal) as refused:
        once(service, ALICE, "k", b"payload", Work())
    go_on.set()
    thread.join()
    assert refused.value.status == 409
    assert refused.value.headers == {"Retry-After": "1"}
    work = Work()
    assert once(service, ALICE, "k", b"payload", work).status_code == 202
    assert work.times == 0


def test_many_at_once_are_carried_out_once(service: Service) -> None:
    """Of requests that come in the same moment exactly one is carried out."""
    work = Work()
    statuses = []
    barrier = threading.Barrier(8)

    def send() -> None:
        barrier.wait()
        try:
            statuses.append(once(service, ALICE, "k", b"payload", work).status_code)
        except Refusal as refused:
            statuses.append(refused.status)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert work.times == 1
    assert set(statuses) <= {202, 409}
    assert 202 in statuses


def test_a_refused_request_may_be_sent_again(service: Service) -> None:
    """What was refused was not carried out, so its key is free, for another payload too."""

    def refuse(_name: str) -> JSONResponse:
        raise Refusal(429, "full")

    with pytest.raises(Refusal, match="full"):
        once(service, ALICE, "k", b"payload", refuse)
    assert once(service, ALICE, "k", b"other", Work()).status_code == 202


def test_who_died_on_the_way_blocks_for_a_minute_only(service: Service, store: Store) -> None:
    """A reservation without an answer is taken over when it is old, by one; the dead one's answer is not kept."""
    late = Work()

    def overtaken(_name: str) -> JSONResponse:
        age(store, ABANDONED_SECONDS - 1)
        with pytest.raises(Refusal):
            once(service, ALICE, "k", b"payload", Work())
        age(store, 2)
        with pytest.raises(Refusal):
            once(service, ALICE, "k", b"other", Work())
        assert once(service, ALICE, "k", b"payload", late).status_code == 202
        return JSONResponse({"time": "too late"}, 200)

    once(service, ALICE, "k", b"payload", overtaken)
    assert late.times == 1
    assert bytes(once(service, ALICE, "k", b"payload", Work()).body) == b'{"time":1}'


@pytest.mark.parametrize("error", [sa.exc.OperationalError("", {}, Exception()), SystemExit()])
def test_what_failed_half_way_is_taken_over_under_the_same_name(service: Service, error: BaseException) -> None:
    """A request that died after it had submitted is carried out again at once, and told the name it had."""
    names = []

    def fail(name: str) -> JSONResponse:
        names.append(name)
        if len(names) == 1:
            raise error
        return JSONResponse({}, 202)

    with pytest.raises(type(error)):
        once(service, ALICE, "k", b"payload", fail)
    assert once(service, ALICE, "k", b"payload", fail).status_code == 202
    assert len(names) == 2
    assert len(set(names)) == 1


def test_what_was_submitted_is_not_submitted_again(service: Service, store: Store) -> None:
    """An order under a name that is there already changes nothing."""
    generator = Generator("routing", "uniform", 2, {"size": 5}, 1)
    order = Order(Terms(solvers=["nearest"], budget=1.0), generator)
    for _ in range(2):
        orders.place(service, order, None, "the-name")
    assert [comparison.name for comparison in store.comparisons()] == ["the-name"]
    assert service.jobs.queued() == {"cpu": 2}


def test_answers_are_kept_for_a_day(service: Service, store: Store) -> None:
    """A day later the key is free, and nothing is left of the old request."""
    work = Work()
    once(service, ALICE, "k", b"payload", work)
    age(store, KEPT_SECONDS - 10)
    once(service, ALICE, "k", b"payload", work)
    assert work.times == 1
    age(store, 20)
    once(service, BOB, "other", b"payload", work)
    with store.engine.connect() as connection:
        assert connection.scalars(sa.select(tables.idempotent_requests.c.owner)).all() == ["bob"]


def test_an_upload_is_the_same_whatever_its_boundary(client: httpx.Client) -> None:
    """A form sent again, with another boundary as clients choose it each time, is the same request."""
    key = {"Idempotency-Key": "upload"}
    first, again = (client.post("/v1/instances", files=[("files", ("a.num", "15\n"))], headers=key) for _ in range(2))
    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.json()["items"][0]["new"]
    other = client.post("/v1/instances", files=[("files", ("a.num", "21\n"))], headers=key)
    assert other.status_code == 422


@pytest.mark.parametrize("key", ["", "a" * 256, "\xe9"])
def test_a_key_that_is_none_is_refused(client: httpx.Client, key: str) -> None:
    """Accepted are 1 to 255 printable ASCII characters."""
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = client.post("/v1/instances", json={"problem": "factoring", "version": 1, "n": "15"}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["where"] == "Idempotency-Key"
