"""The frame of TSPLIB and CVRPLIB files: ``KEYWORD : value`` lines and sections of rows, by line number."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from instances.errors import InvalidInput
from instances.routing.formats import numbers
from instances.routing.rounding import IntArray

_KEYWORD = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\s*(:?)\s*(.*)")


@dataclass(frozen=True)
class Section:
    """The rows below a section's keyword: line number and tokens of each."""

    keyword: str
    line: int
    rows: list[tuple[int, list[str]]] = field(default_factory=list)

    def numbers(self, signed: bool = False) -> tuple[IntArray, int]:
        """All numbers of the section in one stream, with their common decimals; see :func:`numbers.parse`."""
        tokens = [token for _, row in self.rows for token in row]
        lines = [line for line, row in self.rows for _ in row]
        return numbers.parse(tokens, lines.__getitem__, signed)

    def table(self, size: int, width: int, signed: bool = False) -> tuple[IntArray, int]:
        """The ``width`` numbers of each node 1 to ``size``, shape (size, width), with their common decimals.

        Raises
        ------
        InvalidInput
            If a row has another width, a node is no number from 1 to ``size``, occurs twice or is missing.
        """
        rows: list[list[str]] = [[]] * size
        lines = [0] * size
        for line, tokens in self.rows:
            if len(tokens) != 1 + width:
                raise InvalidInput(f"{len(tokens)} columns in {self.keyword}; expected {1 + width}", f"line {line}")
            node = node_index(tokens[0], size, line)
            if lines[node]:
                raise InvalidInput(f"node {node + 1} occurs again, after line {lines[node]}", f"line {line}")
            rows[node], lines[node] = tokens[1:], line
        if 0 in lines:
            missing = lines.index(0) + 1
            message = f"{self.keyword} lacks node {missing}: it has {len(self.rows)} of {size} nodes"
            raise InvalidInput(message, f"line {self.rows[-1][0] if self.rows else self.line}")
        flat = [token for row in rows for token in row]
        values, decimals = numbers.parse(flat, lambda index: lines[index // width], signed)
        return np.reshape(values, (size, width)), decimals


@dataclass(frozen=True)
class Sections:
    """A file in pieces: the ``KEYWORD : value`` lines as (line, value), and the sections."""

    header: dict[str, tuple[int, str]]
    sections: dict[str, Section]

    def value(self, keyword: str) -> str:
        """The value of a keyword that must be there."""
        if keyword not in self.header:
            raise InvalidInput("is missing", keyword)
        return self.header[keyword][1]

    def choice(self, keyword: str, accepted: Collection[str]) -> str:
        """The first word of a keyword's value, which must be one of ``accepted``."""
        # si175.tsp and others add a remark after the word.
        words = self.value(keyword).split()
        if not words or words[0] not in accepted:
            found = self.value(keyword)[:40]
            line = self.header[keyword][0]
            raise InvalidInput(f"{keyword} is {found!r}; accepted are {', '.join(accepted)}", f"line {line}")
        return words[0]

    def number(self, keyword: str) -> tuple[IntArray, int]:
        """The non-negative value of a keyword, shape (1,), with its decimals."""
        tokens = self.value(keyword).split()
        line = self.header[keyword][0]
        if len(tokens) != 1:
            raise InvalidInput(f"{keyword} is {self.value(keyword)[:40]!r}; expected one number", f"line {line}")
        return numbers.parse(tokens, lambda _: line)

    def integer(self, keyword: str, low: int) -> int:
        """The value of a keyword that must be an integer of at least ``low``."""
        values, decimals = self.number(keyword)
        if decimals or values[0] < low:
            message = f"{keyword} is {self.value(keyword)[:40]!r}; accepted are integers from {low}"
            raise InvalidInput(message, f"line {self.header[keyword][0]}")
        return int(values[0])

    def section(self, keyword: str) -> Section:
        """A section that must be there."""
        if keyword not in self.sections:
            raise InvalidInput("is missing", keyword)
        return self.sections[keyword]


def node_index(token: str, size: int, line: int) -> int:
    """The location index (from 0) of a node written as 1 to ``size``."""
    if not (token.isascii() and token.isdigit() and len(token) < 10 and 1 <= int(token) <= size):
        raise InvalidInput(f"{token[:40]!r} is not a node; accepted are 1 to {size}", f"line {line}")
    return int(token) - 1


def split(text: str, keywords: Collection[str], section_keywords: Collection[str]) -> Sections:
    """Split a file into header and sections.

    Raises
    ------
    InvalidInput
        If a keyword is unknown or repeated (a COMMENT may be), or a row stands outside a section.
    """
    result = Sections({}, {})
    current: Section | None = None
    for line, raw in enumerate(text.split("\n"), start=1):
        stripped = raw.strip()
        match = _KEYWORD.fullmatch(stripped)
        if match is None:
            if not stripped or stripped == "\x1a":
                continue
            if current is None:
                raise InvalidInput(f"{stripped[:40]!r} stands outside a section", f"line {line}")
            current.rows.append((line, stripped.split()))
            continue
        keyword, colon, value = match[1].upper(), match[2], match[3]
        if keyword == "EOF" and not value:
            break
        if keyword in section_keywords and not value:
            if keyword in result.sections:
                message = f"{keyword} occurs again, after line {result.sections[keyword].line}"
                raise InvalidInput(message, f"line {line}")
            current = result.sections[keyword] = Section(keyword, line)
        elif keyword in keywords and colon:
            _add(result.header, keyword, line, value)
            current = None
        elif current is not None and not colon and "_" not in keyword:
            # A row that starts with a word, "nan" say: its reader says what is wrong with it.
            current.rows.append((line, stripped.split()))
        elif keyword in keywords or keyword in section_keywords:
            expected = f"{keyword} : value" if keyword in keywords else f"{keyword} alone"
            raise InvalidInput(f"{stripped[:40]!r} should read {expected!r}", f"line {line}")
        else:
            accepted = ", ".join([*keywords, *section_keywords])
            raise InvalidInput(f"unknown keyword {keyword[:40]!r}; accepted are {accepted}", f"line {line}")
    return result


def _add(header: dict[str, tuple[int, str]], keyword: str, line: int, value: str) -> None:
    if keyword not in header:
        header[keyword] = (line, value)
    elif keyword == "COMMENT":
        header[keyword] = (header[keyword][0], f"{header[keyword][1]} {value}")
    else:
        raise InvalidInput(f"{keyword} occurs again, after line {header[keyword][0]}", f"line {line}")
