"""Seconds and bytes as people write them: ``2s``, ``500ms``, ``1m``; ``4G``, ``512M``."""

import math
import re

from instances.errors import InvalidInput

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def parse_seconds(text: str, where: str = "--budget") -> float:
    """Seconds from a text such as ``2s``; InvalidInput unless it is positive and finite."""
    match = re.fullmatch(r"([0-9.]+(?:e-?[0-9]+)?)(ms|s|m|h)?", text.strip())
    try:
        seconds = float(match[1]) * _SECONDS[match[2] or "s"] if match else math.nan
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 30 * 24 * 3600:
        raise InvalidInput(f"{text!r} is no duration; write 500ms, 2s, 5m or 1h, at most 30 days", where)
    return seconds


def parse_bytes(text: str, where: str = "--memory") -> int:
    """Bytes from a text such as ``4G``; InvalidInput below 64M, which no solver child can start in."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGT])i?B?", text.strip())
    size = int(float(match[1]) * _BYTES[match[2]]) if match else 0
    if size < 64 * 1024**2:
        raise InvalidInput(f"{text!r} is no memory size; write 512M or 4G, at least 64M", where)
    return size


def seconds_text(seconds: float) -> str:
    """Seconds as they are written on the command line."""
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"


def bytes_text(size: int) -> str:
    """Bytes in the largest unit that keeps them whole."""
    for unit in ("T", "G", "M", "K"):
        if size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size / 1024:.1f}K"
