"""Published instances from their official sites, with their published solutions.

TSPLIB serves files by name. CVRPLIB lists its CVRP and VRPTW instances on two pages and serves files by
number, so names are looked up in the list. (Its older addresses, by name under vrp.galgos.inf.puc-rio.br,
serve files no more.)
"""

import http.client
import re
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from instances.errors import InvalidInput
from instances.files import read_path
from instances.problems import problem_of
from instances.text import MAX_BYTES

CVRPLIB = "https://galgos.inf.puc-rio.br/cvrplib/en/"
TSPLIB = "https://comopt.ifi.uni-heidelberg.de/software/TSPLIB95/tsp/"
TIMEOUT_SECONDS = 60

# How the instances of each set are named, on which page, and the suffix of their files.
_CVRP, _VRPTW = ("instances/1", ".vrp"), ("instances/2", ".txt")
_SETS = {
    **{name: (rf"{name}-n\d+-k\d+", *_CVRP) for name in ("A", "B", "E", "F", "M", "P", "X", "XL")},
    "CMT": (r"CMT\d+", *_CVRP),
    "tai": (r"tai\d+[a-d]?", *_CVRP),
    "Golden": (r"Golden_\d+", *_CVRP),
    "Li": (r"Li_\d+", *_CVRP),
    "XXL": (r"(Antwerp|Brussels|Flanders|Ghent|Leuven)\d", *_CVRP),
    "D": (r"(Loggi|ORTEC)-n\d+-k\d+", *_CVRP),
    "Solomon": (r"(C|R|RC)[12]\d\d", *_VRPTW),
    "HG": (r"(C|R|RC)[12]_\d+_\d+", *_VRPTW),
}
_LINK = re.compile(r'<a\b[^>]*\bhref="([^"]*/download/(instance|bks|instanceSolution)/\d+)"[^>]*>(.*?)</a>', re.DOTALL)


@dataclass(frozen=True)
class _Published:
    """An instance on a site: the names of its files and where they are; a solution may be missing."""

    file: str
    url: str
    solution_file: str
    solution_url: str | None


def fetch(
    reference: str,
    out: Path,
    *,
    base_url: str | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Download an instance, or a set of them, and the solutions published with them.

    Parameters
    ----------
    reference
        ``cvrplib:X-n101-k25``, a set as ``cvrplib:X``, or ``tsplib:berlin52``.
    out
        Folder to write to. A file that is there already is kept, so an interrupted download can be resumed.
    base_url
        Another address of the site.
    on_progress
        Called with a line of text after each download.

    Returns
    -------
    list of Path
        The instances and solutions, downloaded or kept. A file appears under its name only when it is whole
        and its content has been read; a solution that is not published or cannot be read is left out.

    Raises
    ------
    InvalidInput
        If the reference is unknown, the site does not answer, it answers with anything but an instance of at
        most 64 MB, or ``out`` cannot be written to.
    """
    library, _, name = reference.partition(":")
    if library == "cvrplib":
        published = _in_cvrplib(name, base_url or CVRPLIB)
    elif library == "tsplib":
        published = _in_tsplib(name, base_url or TSPLIB)
    else:
        raise InvalidInput("is unknown; accepted are cvrplib:NAME, cvrplib:SET and tsplib:NAME", reference)
    tell = on_progress or (lambda text: None)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".fetch-") as scratch:
            return [file for item in published for file in _fetch_one(item, out, Path(scratch), tell)]
    except OSError as error:
        raise InvalidInput(f"cannot be written to: {error.strerror}", str(out)) from error


def _fetch_one(item: _Published, out: Path, scratch: Path, tell: Callable[[str], None]) -> Iterator[Path]:
    """The instance's file, then its solution's if there is one."""
    target, solution_target = out / item.file, out / item.solution_file
    if not target.exists():
        file = scratch / item.file
        file.write_bytes(_found(item.url))
        try:
            read_path(file)
        except InvalidInput as error:
            raise InvalidInput(f"is no instance that can be read: {error.message}", item.url) from error
        file.replace(target)
        tell(f"{target} from {item.url}")
    yield target
    if solution_target.exists():
        yield solution_target
    elif item.solution_url and (content := _download(item.solution_url)) is not None:
        file = scratch / item.solution_file
        file.write_bytes(content)
        (entry,) = read_path(target)
        try:
            problem_of(entry.instance).read_solution(entry.instance, file)
        except InvalidInput as error:
            tell(f"no solution from {item.solution_url}: {error.message}")
            return
        file.replace(solution_target)
        tell(f"{solution_target} from {item.solution_url}")
        yield solution_target


def _in_tsplib(name: str, site: str) -> list[_Published]:
    if not re.fullmatch(r"[A-Za-z]+\d+\w*", name, re.ASCII):
        raise InvalidInput("is no name of TSPLIB; accepted is a single instance, as berlin52", f"tsplib:{name}")
    address = f"{site.rstrip('/')}/{name}"
    return [_Published(f"{name}.tsp", f"{address}.tsp.gz", f"{name}.opt.tour", f"{address}.opt.tour.gz")]


def _in_cvrplib(name: str, site: str) -> list[_Published]:
    if name in _SETS:
        pattern, page, suffix = _SETS[name]
    else:
        matching = [entry for entry in _SETS.values() if re.fullmatch(entry[0], name, re.ASCII)]
        if not matching:
            message = f"is neither a set nor an instance of CVRPLIB; its sets are {', '.join(_SETS)}"
            raise InvalidInput(message, f"cvrplib:{name}")
        pattern, page, suffix = re.escape(name), *matching[0][1:]
    url = f"{site.rstrip('/')}/{page}"
    published = [
        _Published(f"{instance}{suffix}", links[0], f"{instance}.sol", links[1] if len(links) > 1 else None)
        for instance, links in _listed(_found(url).decode("utf-8", "replace"), url).items()
        if re.fullmatch(pattern, instance, re.ASCII)
    ]
    if not published:
        raise InvalidInput(f"is not on the list at {url}", f"cvrplib:{name}")
    return published


def _listed(page: str, url: str) -> dict[str, list[str]]:
    """The instances that a page lists: to each its file's address, then its solution's if it has one."""
    links: dict[str, list[str]] = {}
    name = ""
    for address, kind, text in _LINK.findall(page):
        if kind == "instance":
            name = re.sub(r"<[^>]*>", "", text).strip()
            links[name] = []
        if name:
            links[name].append(urljoin(url, address))
    return links


def _found(url: str) -> bytes:
    content = _download(url)
    if content is None:
        raise InvalidInput("there is no such file on the site", url)
    return content


def _download(url: str) -> bytes | None:
    """What is at an address, decompressed if its name ends in ``.gz``; None if there is nothing."""
    request = urllib.request.Request(url, headers={"User-Agent": "versus"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            content: bytes = _limited(response.read(MAX_BYTES + 1), url)
            if response.length:  # a bounded read does not notice a connection that broke
                raise http.client.IncompleteRead(content, response.length)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.NOT_FOUND:
            return None
        raise InvalidInput(f"the site answers {error.code} {error.reason}", url) from error
    except urllib.error.URLError as error:
        raise InvalidInput(f"the site cannot be reached: {error.reason}", url) from error
    except (OSError, http.client.HTTPException) as error:
        raise InvalidInput(f"the download broke off: {error}", url) from error
    return _limited(_decompressed(content, url), url) if url.endswith(".gz") else content


def _decompressed(content: bytes, url: str) -> bytes:
    """At most one byte more than is accepted."""
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = decompressor.decompress(content, MAX_BYTES + 1)
    except zlib.error as error:
        raise InvalidInput(f"is not a gzip file ({error})", url) from error
    if not decompressor.eof and len(text) <= MAX_BYTES:
        raise InvalidInput("is not a whole gzip file", url)
    return text


def _limited(content: bytes, url: str) -> bytes:
    if len(content) > MAX_BYTES:
        raise InvalidInput(f"is larger than accepted: at most {MAX_BYTES // 10**6} MB", url)
    return content
