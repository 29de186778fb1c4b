"""Solvers and generators over HTTP."""

import dataclasses
import threading
import time
from typing import Any

import httpx
from fastapi import FastAPI

from instances.factoring import generators as factoring
from instances.routing import generators as routing
from services.api.context import Catalogue
from services.runner.catalogue import describe_all
from solvers import registry, spec


def test_every_solver_is_listed_as_it_describes_itself(client: httpx.Client) -> None:
    """The list holds every registered solver, with what it says of itself or why it is unavailable."""
    items = client.get("/v1/solvers").json()["items"]
    assert [item["name"] for item in items] == list(registry.solver_entry_points())
    assert items == [{key: entry[key] for key in entry if key != "event"} for entry in describe_all()]
    nearest = client.get("/v1/solvers/nearest").json()
    assert nearest == next(item for item in items if item["name"] == "nearest")
    assert "error" not in nearest


def test_an_unknown_solver_is_not_found(client: httpx.Client) -> None:
    """The answer names the solvers there are."""
    answer = client.get("/v1/solvers/nobody")
    assert answer.status_code == 404
    assert "nearest" in answer.json()["detail"]


def test_solvers_are_asked_once_and_block_nobody(app: FastAPI, client: httpx.Client) -> None:
    """While the solvers are being asked, the requests that wait for them keep no others waiting."""
    asked, go_on = [], threading.Event()

    def describe() -> list[dict[str, Any]]:
        asked.append(1)
        assert go_on.wait(30)
        return [{"name": "slow", "error": "none"}]

    app.state.service = dataclasses.replace(app.state.service, catalogue=Catalogue(describe))
    answers: list[int] = []

    def wait() -> None:
        answers.append(client.get("/v1/solvers/slow").status_code)

    threads = [threading.Thread(target=wait) for _ in range(60)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    # A route that takes a thread of the server's, of which there are 40.
    assert client.get("/v1/generators", timeout=10).status_code == 200
    assert answers == []
    go_on.set()
    for thread in threads:
        thread.join()
    assert answers == [200] * 60
    assert len(asked) == 1


def test_solvers_are_asked_again_after_an_error(app: FastAPI, client: httpx.Client) -> None:
    """That they could not be asked once is not remembered."""
    answers = iter([OSError("no process"), [{"name": "slow", "error": "none"}]])

    def describe() -> list[dict[str, Any]]:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    app.state.service = dataclasses.replace(app.state.service, catalogue=Catalogue(describe))
    assert client.get("/v1/solvers").status_code == 500
    assert client.get("/v1/solvers").json() == {"items": [{"name": "slow", "error": "none"}]}


def test_generators_are_listed_with_what_they_take(client: httpx.Client) -> None:
    """Each generator makes an instance of what is required and the defaults it lists."""
    items = client.get("/v1/generators").json()["items"]
    assert [item["kind"] for item in items] == [*routing.KINDS, *factoring.KINDS]
    for item in items:
        module = routing if item["problem"] == "routing" else factoring
        own = {name: parameter for parameter in item["parameters"] for name in [parameter["name"]]}
        size, usual, variant = ("size", 20, "problem") if module is routing else ("bits", 64, "split")
        assert [name for name, parameter in own.items() if parameter["required"]] == [size]
        options = module.KINDS[item["kind"]].options
        given = {name: parameter["default"] for name, parameter in own.items() if name not in (size, variant)}
        built = dataclasses.asdict(spec.build(options, given, item["kind"]))
        assert built == dataclasses.asdict(options())
        made = module.generate(item["kind"], count=1, **{size: usual, variant: own[variant]["default"]}, **built)
        assert len(made) == 1
