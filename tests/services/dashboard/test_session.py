"""Signing in with a key: what the cookie opens, what it does not, and what changing something asks for besides."""

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import BrowserContext, Page

from services.dashboard.sign_in import local
from services.dashboard.system import _store
from services.settings import Settings
from services.store import tables
from services.store.clock import now
from services.store.keys import Keys, parse
from services.store.sessions import COOKIE, Sessions, csrf_token
from services.store.store import Store


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Keys are asked for."""
    return Settings(auth="keys", data_dir=tmp_path)


@pytest.fixture
def keys(store: Store) -> Keys:
    """The keys of the store."""
    return Keys(store.engine)


@pytest.fixture
def client(site: str) -> Iterator[httpx.Client]:
    """A browser without scripts: keeps cookies, follows no redirection."""
    with httpx.Client(base_url=site, timeout=60) as client:
        yield client


def token_in(answer: httpx.Response) -> str:
    """The token of the first form on a page."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', answer.text)
    assert found is not None
    return found[1]


def sign_in(client: httpx.Client, key: str, **fields: str) -> httpx.Response:
    """Send the form of the sign-in with a key."""
    form = {"csrf": token_in(client.get("/sign-in")), "key": key, **fields}
    return client.post("/sign-in", data=form)


def test_sessions_hold_on_each_database(database_url: str) -> None:
    """On SQLite and PostgreSQL a session is found until it ends, its time is over, or its key is revoked."""
    store = Store.open(database_url)
    sessions, keys = Sessions(store.engine), Keys(store.engine)
    id = parse(keys.add("Ann", ["read"]))[0]
    first, second, third = (sessions.begin(id) for _ in range(3))
    assert {sessions.find(one).id for one in (first, second, third)} == {id}
    assert sessions.find("x") is None and sessions.find("A" * 43) is None
    sessions.end(first)
    assert sessions.find(first) is None and sessions.find(second) is not None
    late = tables.sessions.update().where(tables.sessions.c.hash == hashlib.sha256(second.encode()).hexdigest())
    with store.engine.begin() as connection:
        assert connection.execute(late.values(expires_at=now() - 1)).rowcount == 1
    assert sessions.find(second) is None and sessions.find(third) is not None
    keys.revoke(id)
    assert sessions.find(third) is None
    assert _store(store.engine)["bytes"] > 10_000
    store.close()


def test_a_page_without_a_session_leads_to_the_sign_in_and_back(client: httpx.Client, keys: Keys) -> None:
    """Whoever asks for a page is sent to sign in, and then to that page with its query."""
    asked = client.get("/runs?state=crashed&solver=a%20b")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/sign-in?next=%2Fruns%3Fstate%3Dcrashed%26solver%3Da%2520b"
    form = client.get(asked.headers["location"])
    assert 'name="next" value="/runs?state=crashed&amp;solver=a%20b"' in form.text
    answer = sign_in(client, keys.add("Ann", ["read"]), next="/runs?state=crashed&solver=a%20b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?state=crashed&solver=a%20b")
    assert client.get("/runs?state=crashed").status_code == 200


def test_the_cookie_is_read_by_no_script_and_sent_by_no_other_site(client: httpx.Client, keys: Keys) -> None:
    """It is HttpOnly and SameSite=Strict, ends within twelve hours, and says nothing of the key."""
    key = keys.add("Ann", ["read"])
    cookie = sign_in(client, key).headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=strict", "Max-Age=43200", "Path=/"} <= set(cookie.split("; "))
    assert parse(key)[1] not in cookie
    assert "Secure" not in cookie


def test_the_store_keeps_a_hash_of_the_session_only(client: httpx.Client, keys: Keys, tmp_path) -> None:
    """Neither the session's id nor the key's secret stands in the database."""
    key = keys.add("Ann", ["read"])
    sign_in(client, key)
    id = client.cookies[COOKIE]
    with sqlite3.connect(tmp_path / "versus.sqlite") as connection:
        dump = "\n".join(connection.iterdump())
    assert 'INSERT INTO "sessions"' in dump
    assert id not in dump
    assert parse(key)[1] not in dump


@pytest.mark.parametrize("wrong", ["", "vs_", "vs_000000000000_" + "0" * 64, "unlikely"])
def test_what_is_no_key_opens_nothing(client: httpx.Client, wrong: str) -> None:
    """The form comes again with a message, and no cookie of a session."""
    answer = sign_in(client, wrong)
    assert answer.status_code == 422
    assert "This is no API key of this service" in answer.text
    assert COOKIE not in client.cookies
    assert client.get("/runs").status_code == 303


def test_a_revoked_key_opens_nothing_and_ends_its_sessions(client: httpx.Client, keys: Keys) -> None:
    """Revoking holds at once for sessions, on pages and on the API."""
    key = keys.add("Ann", ["read"])
    sign_in(client, key)
    assert client.get("/v1/system").status_code == 200
    keys.revoke(parse(key)[0])
    assert client.get("/v1/system").status_code == 401
    assert client.get("/runs").status_code == 303
    assert sign_in(client, key).status_code == 422


def test_a_session_ends_after_its_time_and_is_forgotten(client: httpx.Client, keys: Keys, store: Store) -> None:
    """A session whose time is over opens nothing, and the next sign-in deletes it."""
    sign_in(client, keys.add("Ann", ["read"]))
    with store.engine.begin() as connection:
        left = connection.scalar(sa.select(tables.sessions.c.expires_at - now()))
        assert 12 * 3600 - 60 < left <= 12 * 3600
        connection.execute(tables.sessions.update().values(expires_at=now() - 1))
    assert client.get("/runs").status_code == 303
    sign_in(client, keys.add("Bob", ["read"]))
    with store.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.sessions)) == 1


def test_signing_out_ends_the_session_everywhere(client: httpx.Client, site: str, keys: Keys) -> None:
    """A copy of the cookie opens nothing any more."""
    sign_in(client, keys.add("Ann", ["read"]))
    copy = client.cookies[COOKIE]
    form = {"csrf": token_in(client.get("/runs"))}
    assert client.post("/sign-out", data=form).status_code == 303
    assert client.get("/runs").status_code == 303
    assert httpx.get(f"{site}/runs", cookies={COOKIE: copy}).status_code == 303


def test_every_sign_in_gets_an_id_of_its_own(client: httpx.Client, keys: Keys) -> None:
    """An id that was there before signing in is not used on: nobody can plant one."""
    key = keys.add("Ann", ["read"])
    planted = "A" * 43
    client.cookies.set(COOKIE, planted)
    sign_in(client, key)
    assert len({cookie.value for cookie in client.cookies.jar if cookie.name == COOKIE} - {planted}) == 1
    assert Sessions(keys.engine).find(planted) is None


@pytest.mark.parametrize("sent", [None, "", "0" * 64], ids=["missing", "empty", "wrong"])
def test_forms_without_the_token_change_nothing(client: httpx.Client, keys: Keys, sent: str | None) -> None:
    """Signing in and out are refused with a page that says why."""
    form = {"key": keys.add("Ann", ["read"])} | ({} if sent is None else {"csrf": sent})
    client.get("/sign-in")
    answer = client.post("/sign-in", data=form)
    assert answer.status_code == 403 and "not of your session" in answer.text
    assert COOKIE not in client.cookies


def test_the_token_of_another_session_is_refused(client: httpx.Client, keys: Keys) -> None:
    """Each session has a token of its own."""
    key = keys.add("Ann", ["read"])
    sign_in(client, key)
    other = csrf_token(Sessions(keys.engine).begin(parse(key)[0]))
    assert client.post("/sign-out", data={"csrf": other}).status_code == 403


def test_the_api_takes_the_cookie_and_asks_for_the_token_where_something_changes(
    client: httpx.Client, keys: Keys
) -> None:
    """Reading needs the cookie alone; sending an instance the header, too; a key in the header needs neither."""
    key = keys.add("Ann", ["read", "submit"])
    sign_in(client, key)
    assert client.get("/v1/instances").status_code == 200
    number = {"problem": "factoring", "version": 1, "n": "8051"}
    refused = client.post("/v1/instances", json=number)
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["where"] == "X-CSRF-Token"
    token = csrf_token(client.cookies[COOKIE])
    assert client.post("/v1/instances", json=number, headers={"X-CSRF-Token": token}).status_code == 201
    client.cookies.clear()
    bearer = {"Authorization": f"Bearer {key}"}
    assert client.post("/v1/instances", json=number, headers=bearer).status_code == 201


def test_a_missing_scope_is_named_and_its_buttons_are_not_there(client: httpx.Client, keys: Keys) -> None:
    """Who may only read sees no upload; who may not even read is told which scope is needed."""
    sign_in(client, keys.add("Ann", ["read"]))
    page = client.get("/instances")
    assert page.status_code == 200 and "Upload instance files" not in page.text
    answer = client.post(f"/runs/{'0' * 64}/cancel", data={"csrf": token_in(page)})
    assert answer.status_code == 403 and "needs an API key of scope submit; the scopes of yours: read" in answer.text
    client.cookies.clear()
    sign_in(client, keys.add("Bob", ["submit"]))
    answer = client.get("/runs")
    assert answer.status_code == 403 and "needs an API key of scope read" in answer.text


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "", "/\t/evil.example", "x"],
)
def test_only_paths_of_this_service_are_led_on_to(client: httpx.Client, keys: Keys, path: str) -> None:
    """A link to the sign-in cannot send anybody elsewhere."""
    assert local(path) == "/"
    answer = sign_in(client, keys.add("Ann", ["read"]), next=path)
    assert answer.headers["location"] == "/"
    assert client.get("/sign-in", params={"next": path}).headers["location"] == "/"


def test_static_files_and_health_need_no_session(client: httpx.Client) -> None:
    """The sign-in page is whole for everybody."""
    form = client.get("/sign-in")
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', form.text)
    assert len(addresses) >= 4
    assert {client.get(address).status_code for address in [*addresses, "/v1/health"]} == {200}


@pytest.mark.parametrize("look", ["light", "dark"])
def test_a_person_signs_in_and_out(
    site: str, open_context: Callable[..., BrowserContext], keys: Keys, axe: Any, look: str
) -> None:
    """In a browser: a wrong key is told at the field, the right one leads on, and signing out ends it."""
    key = keys.add("Ann", ["read", "submit"])
    page: Page = open_context(look, expected="422").new_page()
    page.goto(f"{site}/system")
    assert page.url.startswith(f"{site}/sign-in?next=")
    assert axe(page) == []
    page.get_by_label("API key").fill("vs_wrong")
    page.get_by_role("button", name="Sign in").click()
    assert page.get_by_role("alert").get_by_text("no API key").is_visible()
    assert axe(page) == []
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site}/system")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{site}/sign-in")


def test_a_link_from_elsewhere_needs_no_second_sign_in(
    site: str, open_context: Callable[..., BrowserContext], keys: Keys
) -> None:
    """The first request after a link elsewhere lacks the cookie; the sign-in page notices that and leads on."""
    context = open_context()
    id = Sessions(keys.engine).begin(parse(keys.add("Ann", ["read"]))[0])
    context.add_cookies([{"name": COOKIE, "value": id, "url": site, "sameSite": "Strict", "httpOnly": True}])
    page = context.new_page()
    page.set_content(f'<a href="{site}/runs?state=crashed">a shared link</a>')
    with page.expect_request(re.compile("/sign-in/state")):
        page.get_by_text("a shared link").click()
    page.wait_for_url(f"{site}/runs?state=crashed")
    assert page.get_by_role("heading", name="Runs").is_visible()
