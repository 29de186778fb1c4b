"""Instances over HTTP: sent in every form, kept once, listed in stable pages, handed out as they came."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from instances.files import read_path
from instances.problem import FileEntry
from instances.problems import problem_of
from services.settings import Settings

SEMIPRIME = {"problem": "factoring", "version": 1, "n": "1000036000099", "name": "two primes", "kind": "semiprime"}
TOUR = {
    "problem": "routing", "version": 1, "rounding": "nearest", "num_vehicles": 1, "name": "square",
    "coordinates": [[0, 0], [0, 10], [10, 10], [10, 0]],
}  # fmt: skip
VRP = """NAME : tiny
TYPE : CVRP
DIMENSION : 4
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 10
NODE_COORD_SECTION
1 0 0
2 0 10
3 10 10
4 10 0
DEMAND_SECTION
1 0
2 3
3 4
4 5
DEPOT_SECTION
1
-1
EOF
"""
LINES = {"Content-Type": "application/x-ndjson"}


def number(n: int, name: str = "") -> dict[str, Any]:
    """The document of an integer."""
    return {"problem": "factoring", "version": 1, "n": str(n), "name": name}


def in_lines(*documents: dict[str, Any]) -> str:
    """Documents, one a line."""
    return "".join(json.dumps(document) + "\n" for document in documents)


def send(client: httpx.Client, *documents: dict[str, Any]) -> list[dict[str, Any]]:
    """Send documents in one request; what the answer says of each."""
    answer = client.post("/v1/instances", content=in_lines(*documents), headers=LINES)
    assert answer.status_code == 201, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def send_files(client: httpx.Client, *files: tuple[str, str | bytes], **query: str) -> httpx.Response:
    """Send files as a form does."""
    return client.post("/v1/instances", params=query, files=[("files", file) for file in files])


def pages(client: httpx.Client, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """All pages of a list."""
    while True:
        answer = client.get("/v1/instances", params=query).json()
        yield answer["items"]
        if answer["next"] is None:
            return
        query["cursor"] = answer["next"]


def test_a_document_is_stored_and_comes_back_as_it_was(client: httpx.Client) -> None:
    """What was sent as JSON is described, and its document is what was sent."""
    answer = client.post("/v1/instances", json=SEMIPRIME)
    assert answer.status_code == 201
    (item,) = answer.json()["items"]
    digest = item.pop("digest")
    assert item == {"name": "two primes", "problem": "factoring", "size": 40, "new": True, "notes": []}
    shown = client.get(f"/v1/instances/{digest}").json()
    assert shown["document"] == SEMIPRIME
    assert shown["digest"] == digest
    assert shown["properties"]["family"] == "semiprime"
    assert shown["best_known"]["cost"] == 0


def test_an_instance_is_kept_once(client: httpx.Client) -> None:
    """The same instance again, in a later request or in the same, is known by its digest and is not new."""
    first, again = send(client, number(15, "fifteen"), number(15, "again"))
    assert first["new"]
    assert not again["new"]
    assert first["digest"] == again["digest"]
    (later,) = send(client, number(15))
    assert not later["new"]
    assert len(client.get("/v1/instances").json()["items"]) == 1


def test_files_of_all_formats_come_in_one_request(client: httpx.Client) -> None:
    """Each file is read by the readers of its problem; several instances of a file all come."""
    answer = send_files(
        client,
        ("tiny.vrp", VRP),
        ("numbers.num", "15  # fifteen\n21\n"),
        ("square.json", json.dumps(TOUR)),
        ("more.jsonl", in_lines(number(33), number(35))),
    )
    assert answer.status_code == 201, answer.text
    items = answer.json()["items"]
    assert [item["problem"] for item in items] == ["routing", "factoring", "factoring", "routing", *2 * ["factoring"]]
    assert [item["name"] for item in items[:4]] == ["tiny", "fifteen", "numbers-2", "square"]


def test_published_files_have_the_digests_of_the_local_reader(client: httpx.Client, shared_data: Path) -> None:
    """Files sent over HTTP become the very instances that they are on the command line, notes included."""
    files = [file for form in ("vrp", "tsp", "txt") for file in sorted(shared_data.rglob(f"*.{form}"))[:5]]
    local = {file.name: read_path(file)[0] for file in files if file.stat().st_size < 200_000}
    assert len(local) >= 5
    answer = send_files(client, *((name, entry.path.read_bytes()) for name, entry in local.items()))
    assert answer.status_code == 201, answer.text
    for item, entry in zip(answer.json()["items"], local.values(), strict=True):
        _same(item, entry)


def _same(item: dict[str, Any], entry: FileEntry) -> None:
    known = problem_of(entry.instance).describe(entry.instance)
    assert (item["digest"], item["name"], item["size"]) == (known.digest, known.name, known.size)
    assert item["notes"] == [note.replace("--rounding", "rounding") for note in entry.notes]


def test_rounding_is_part_of_the_instance(client: httpx.Client) -> None:
    """A rounding rule in the query replaces the file's, which makes another instance."""
    plain = send_files(client, ("tiny.vrp", VRP)).json()["items"][0]
    exact = send_files(client, ("tiny.vrp", VRP), rounding="unrounded").json()["items"][0]
    assert exact["new"]
    assert exact["digest"] != plain["digest"]
    wrong = send_files(client, ("tiny.vrp", VRP), rounding="sideways")
    assert wrong.status_code == 422
    assert wrong.json()["where"] == "rounding"


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.vrp.gz", "a.pkl", "a", "a.sol", "../../etc/passwd"])
def test_what_is_no_instance_file_is_refused(client: httpx.Client, name: str) -> None:
    """Archives, compressed files and unknown formats are refused by their name, with what is accepted."""
    answer = send_files(client, (name, b"15\n"))
    assert answer.status_code == 422
    assert ".vrp" in answer.json()["detail"]
    assert answer.json()["where"] == name.rpartition("/")[-1]


def test_compressed_content_under_another_name_is_refused(client: httpx.Client) -> None:
    """A gzip file that is called .vrp is not decompressed."""
    answer = send_files(client, ("bomb.vrp", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"))
    assert answer.status_code == 422
    assert answer.json()["where"] == "bomb.vrp"
    assert "binary" in answer.json()["detail"]


@pytest.mark.parametrize("folder", ["../../../", "", "..\\..\\"])
def test_a_path_from_a_client_is_only_a_name(client: httpx.Client, tmp_path: Path, folder: str) -> None:
    """Nothing is written where a client's path points to, and only the path's last part names the instance."""
    answer = send_files(client, (f"{folder or tmp_path}/escape.num", "15\n"))
    assert answer.status_code == 201
    assert answer.json()["items"][0]["name"] == "escape"
    assert not (tmp_path / "escape.num").exists()


def test_one_bad_file_stores_nothing(client: httpx.Client) -> None:
    """It is all or nothing, and the error names the file and the line as the client knows them."""
    answer = send_files(client, ("good.num", "15\n"), ("bad.num", "21\nfifteen\n"))
    assert answer.status_code == 422
    assert answer.json()["where"] == "bad.num: line 2"
    assert "versus-upload" not in answer.text
    assert client.get("/v1/instances").json()["items"] == []


def test_a_bad_line_is_named(client: httpx.Client) -> None:
    """Of many documents the error names the line."""
    answer = client.post("/v1/instances", content=in_lines(number(15)) + "{}\n", headers=LINES)
    assert answer.status_code == 422
    assert answer.json()["where"] == "line 2"


def test_other_fields_of_a_form_are_refused(client: httpx.Client) -> None:
    """Only files in the field `files` are taken."""
    for form in (
        {"files": [("file", ("a.num", "15\n"))]},
        {"data": {"files": "15"}, "files": [("files", ("a.num", ""))]},
    ):
        answer = client.post("/v1/instances", **form)  # type: ignore[arg-type]
        assert answer.status_code == 422
        assert "`files`" in answer.json()["detail"]


def test_a_larger_instance_than_allowed_is_refused(client: httpx.Client, settings: Settings) -> None:
    """One bit more than the limit is too much, the limit itself is not."""
    at_limit, above = 2 ** (settings.max_instance_size - 1), 2**settings.max_instance_size
    assert send(client, {**number(15), "n": hex(at_limit)})[0]["size"] == settings.max_instance_size
    answer = client.post("/v1/instances", json={**number(15, "huge"), "n": hex(above)})
    assert answer.status_code == 413
    assert answer.json()["where"] == "huge"
    assert str(settings.max_instance_size) in answer.json()["detail"]


@pytest.mark.parametrize("name", ["\x00", "\ud800", "a" * 201])
def test_a_name_that_cannot_be_stored_is_refused(client: httpx.Client, name: str) -> None:
    """NUL, half a surrogate pair and endless names are the client's error, not the store's."""
    answer = client.post("/v1/instances", content=in_lines(number(15, name)), headers=LINES)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_another_media_type_is_refused(client: httpx.Client) -> None:
    """The answer lists the media types that are accepted."""
    answer = client.post("/v1/instances", content=b"x", headers={"Content-Type": "application/x-pickle"})
    assert answer.status_code == 415
    assert "application/x-ndjson" in answer.json()["detail"]


def test_filters(client: httpx.Client) -> None:
    """Problem, part of the name, feature and size narrow the list, each alone and together."""
    send(client, SEMIPRIME, TOUR, number(15, "fifteen"), {**TOUR, "capacity": 5, "name": "CVRP_1"})

    def names(**query: Any) -> set[str]:
        return {item["name"] for item in client.get("/v1/instances", params=query).json()["items"]}

    assert names() == {"two primes", "square", "fifteen", "CVRP_1"}
    assert names(problem="factoring") == {"two primes", "fifteen"}
    assert names(name="PRIM") == {"two primes"}
    assert names(name="_") == {"CVRP_1"}
    assert names(feature="capacity") == {"CVRP_1"}
    assert names(feature="tsp") == {"square"}
    assert names(feature="cap") == set()
    assert names(min_size=5) == {"two primes"}
    assert names(min_size=4, max_size=4) == {"square", "fifteen"}
    assert names(problem="factoring", max_size=4) == {"fifteen"}


def test_pages_hold_everything_once_whatever_comes_meanwhile(client: httpx.Client) -> None:
    """Instances that are sent between two pages neither repeat nor hide any that was there."""
    before = {item["digest"] for start in (15, 50) for item in send(client, *map(number, range(start, start + 10)))}
    seen: list[str] = []
    for place, items in enumerate(pages(client, limit=3)):
        assert len(items) <= 3
        seen += [item["digest"] for item in items]
        send(client, number(1000 + place))
    assert len(seen) == len(set(seen))
    assert set(seen) == before


@pytest.mark.parametrize(
    "cursor", ["x", "é", "bnVsbA==", "WzEsMl0=", "W05hTiwieCJd", "WyJcdTAwMDAiLCJ4Il0=", "W" * 900, ""]
)
def test_a_wrong_cursor_is_refused(client: httpx.Client, cursor: str) -> None:
    """What no page gave is no cursor."""
    answer = client.get("/v1/instances", params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["where"] == "cursor"


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0}, {"limit": 1001}, {"min_size": -1}, {"max_size": 2**31}, {"name": "\0"}, {"feature": '"'},
        {"problem": "chess"},
    ],
)  # fmt: skip
def test_wrong_queries_are_refused(client: httpx.Client, query: dict[str, Any]) -> None:
    """The answer names the parameter."""
    answer = client.get("/v1/instances", params=query)
    assert answer.status_code == 422
    assert answer.json()["where"] in query


def test_a_file_comes_back_as_it_was_sent(client: httpx.Client, tmp_path: Path) -> None:
    """A downloaded .vrp holds the same instance as the one that was sent, under its name."""
    digest = send_files(client, ("tiny.vrp", VRP)).json()["items"][0]["digest"]
    answer = client.get(f"/v1/instances/{digest}/file", params={"format": ".vrp"})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="tiny.vrp"'
    (tmp_path / "back.vrp").write_bytes(answer.content)
    assert read_path(tmp_path / "back.vrp")[0].instance.digest == digest


def test_a_file_is_not_sent_twice(client: httpx.Client) -> None:
    """Who has the file already is told so, for a digest stands for one content; of another format it is sent."""
    digest = send_files(client, ("tiny.vrp", VRP)).json()["items"][0]["digest"]
    first = client.get(f"/v1/instances/{digest}/file", params={"format": ".vrp"})
    held = {"If-None-Match": first.headers["etag"]}
    again = client.get(f"/v1/instances/{digest}/file", params={"format": ".vrp"}, headers=held)
    assert again.status_code == 304
    assert again.content == b""
    other = client.get(f"/v1/instances/{digest}/file", params={"format": ".json"}, headers=held)
    assert other.status_code == 200


@pytest.mark.parametrize("form", [".tsp", ".vrp.gz", ".num", ".pkl", "/etc/pass"])
def test_a_format_that_cannot_hold_it_is_refused(client: httpx.Client, form: str) -> None:
    """A CVRP fits no .tsp, and of another problem's formats none; the answer says what is accepted."""
    digest = send_files(client, ("tiny.vrp", VRP)).json()["items"][0]["digest"]
    answer = client.get(f"/v1/instances/{digest}/file", params={"format": form})
    assert answer.status_code == 422
    assert answer.json()["where"] == "format"


@pytest.mark.parametrize("path", ["", "/file"])
def test_an_unknown_digest_is_not_found(client: httpx.Client, path: str) -> None:
    """A digest of nothing is 404, and what is no digest 422."""
    assert client.get(f"/v1/instances/{'0' * 64}{path}").status_code == 404
    assert client.get(f"/v1/instances/{'0' * 63}{path}").status_code == 422


def test_many_instances_are_stored_at_once(client: httpx.Client) -> None:
    """Ten thousand come in one request; one more is refused, and nothing of it is stored."""
    assert len(send(client, *map(number, range(2, 10_002)))) == 10_000
    answer = client.post("/v1/instances", content=in_lines(*map(number, range(20_000, 30_001))), headers=LINES)
    assert answer.status_code == 413
    assert client.get("/v1/instances", params={"min_size": 15}).json()["items"] == []
