"""Pages from templates: the environment they share, and what goes with every page."""

import importlib.metadata
import json
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from services.analysis import wording
from services.analysis.sentences import count
from services.analysis.summary import Interval, SizeShare
from services.dashboard import assets, session
from services.orders import num_failed
from services.quantities import bytes_text, seconds_text

HERE = Path(__file__).parent
PLOTLY_STYLE = " 'unsafe-inline'"
"""Plotly writes style attributes; nothing else here does."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{style}; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_NUM_COLOURS = 8
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    section: str = "",
    twin: str | None = None,
    figures: bool = False,
    headers: dict[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """The page of a template.

    Parameters
    ----------
    request
        What is answered; templates have it as ``request``.
    template
        Its file below ``templates/``.
    status
        The HTTP status.
    section
        The entry of the navigation that is marked.
    twin
        The address that answers the same as JSON.
    figures
        Whether Plotly is loaded; only then inline style is let through.
    headers
        Further headers.
    **context
        What the template shows.
    """
    context |= {"request": request, "section": section, "twin": twin, "figures": figures}
    context |= {"viewer": session.viewer(request), "csrf_token": lambda: session.csrf_token(request)}
    context |= {"may": lambda scope: session.may(request, scope)}
    body = environment().get_template(template).render(context)
    policy = _POLICY.format(style=PLOTLY_STYLE if figures else "")
    # With no referrer at all, browsers send forms with an Origin of null.
    own = {"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"}
    response = HTMLResponse(body, status, {**own, **(headers or {})})
    session.keep(request, response)
    return response


@cache
def environment() -> jinja2.Environment:
    """The environment of all templates: every text is escaped, and a name that is not there is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = [
        wording.number, wording.p_words, wording.seconds_words, wording.cost, wording.cost_words,
        wording.interval_words, wording.interval_bounds, wording.managed_words, ago, breakable, bytes_text, count,
        duration, interval, moment, num_failed, prefixed, script_json, seconds_text, share_of_size,
    ]  # fmt: skip
    made.filters.update({filtering.__name__: filtering for filtering in filters})
    made.globals.update(
        static=assets.url,
        query=query,
        path_of=path_of,
        MEASURE_UNITS=wording.MEASURE_UNITS,
        size_words=wording.size_words,
        colour=lambda place: f"c{place % _NUM_COLOURS}",
        version=importlib.metadata.version("versus"),
    )
    return made


def query(path: str, **parameters: object) -> str:
    """A path with those parameters that are set."""
    chosen = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(chosen, doseq=True)}" if chosen else path


def path_of(*parts: str) -> str:
    """A path of these parts, whatever signs are in them."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def interval(document: dict[str, Any] | None) -> Interval | None:
    """An interval of a JSON document, in which null stands for what is no number."""
    if document is None:
        return None
    return Interval(*(float("nan") if document[name] is None else document[name] for name in ("value", "low", "high")))


def share_of_size(document: dict[str, Any] | None) -> SizeShare | None:
    """A class of sizes of a JSON document."""
    if document is None:
        return None
    share = interval(document["share"])
    assert share is not None
    return SizeShare(**{**document, "share": share})


def prefixed(text: str, prefix: str) -> str:
    """A text behind another."""
    return prefix + text


def ago(text: str) -> str:
    """How long ago an ISO time is: ``3 min ago``."""
    seconds = (datetime.now(UTC) - _time(text)).total_seconds()
    if seconds < _MINUTE:
        return "just now"
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    raise AssertionError(seconds)


def moment(text: str) -> Markup:
    """An ISO time for people and machines."""
    time = _time(text)
    shown = f"{time:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(time.isoformat(timespec="seconds"), shown)


def duration(seconds: float) -> str:
    """A length of time in its two largest units: ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 1:
        return "under 1 s" if seconds > 0 else "0 s"
    parts = [(whole // _DAY, "d"), (whole % _DAY // _HOUR, "h"), (whole % _HOUR // _MINUTE, "min"), (whole % 60, "s")]
    first = next(place for place, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number)


def breakable(label: str) -> Markup:
    """A text that may break after its punctuation."""
    return Markup(re.sub("([:,=_/])", r"\1<wbr>", str(escape(label))))


def script_json(document: Any) -> Markup:
    """A document as JSON that cannot end the script element that holds it."""
    text = document.decode() if isinstance(document, bytes) else json.dumps(document)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
