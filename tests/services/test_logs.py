"""Logs: one JSON object a line, with the request and run that it is about, and without secrets."""

import json
import logging
import subprocess
import sys

from services.logs import Formatter, about, redacted, request_id, run_id

TOKEN = f"vs_{'0a' * 6}_{'1b' * 32}"


def logged(message: str, *arguments: object, **more: object) -> dict[str, object]:
    """What the formatter makes of a message."""
    record = logging.getLogger("versus.test").makeRecord(
        "versus.test", logging.WARNING, "f.py", 1, message, arguments, more.pop("exc_info", None), extra=more
    )
    line = Formatter().format(record)
    assert "\n" not in line
    return json.loads(line)


def test_a_record_is_one_json_object():
    """Time, level, logger and message are its fields, and what was given besides; line breaks stay within."""
    entry = logged("two\nlines of %s", "text", status=202, key=None)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "WARNING", "logger": "versus.test", "message": "two\nlines of text", "status": 202, "key": None,
    }  # fmt: skip


def test_records_name_what_they_are_about():
    """Within ``about`` the request and the run are named; afterwards no more."""
    with about(request_id, "abc"):
        with about(run_id, "def"):
            entry = logged("x")
            assert (entry["request_id"], entry["run_id"]) == ("abc", "def")
        assert "run_id" not in logged("x")
    assert "request_id" not in logged("x")


def test_keys_are_redacted_wherever_they_stand():
    """In the message, an argument, an extra field, and an exception's text: the id stays, the secret goes."""
    try:
        raise ValueError(f"cannot use {TOKEN}!")
    except ValueError:
        failure = sys.exc_info()
    entries = [
        logged(f"got {TOKEN}"),
        logged("got %s", TOKEN),
        logged("got %r", {"Authorization": f"Bearer {TOKEN}"}),
        logged("got", header=f"Bearer {TOKEN}", nested={"deep": [TOKEN]}),
        logged("failed", exc_info=failure),
    ]
    for entry in entries:
        text = json.dumps(entry)
        assert "1b1b" not in text
        assert f"vs_{'0a' * 6}_[redacted]" in text


def test_passwords_of_urls_are_redacted():
    """A URL of database or broker loses its password and nothing else."""
    assert (
        redacted("postgresql+psycopg://versus:geheim@db/versus") == "postgresql+psycopg://versus:[redacted]@db/versus"
    )
    assert redacted("redis://:geheim@redis:6379/0") == "redis://:[redacted]@redis:6379/0"
    assert redacted("see http://localhost:8000/v1/runs at 12:30 by a@b") == (
        "see http://localhost:8000/v1/runs at 12:30 by a@b"
    )


def test_a_configured_process_logs_json_only():
    """uvicorn's messages and uncaught warnings of others take the same form; its access log is silent."""
    code = (
        "import logging; from services.logs import configure_logs; configure_logs()\n"
        "import uvicorn; uvicorn.Config(lambda: None, log_config=None, access_log=False)\n"
        "logging.getLogger('uvicorn.error').info('up')\n"
        "logging.getLogger('uvicorn.access').info('GET /?key=vs_aa_bb')\n"
        "logging.getLogger('celery').warning('retry')\n"
        "logging.getLogger('services.x').debug('not told')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert [json.loads(line)["message"] for line in done.stderr.splitlines()] == ["up", "retry"]
