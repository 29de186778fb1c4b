"""Durations and sizes are read as people write them, and refused with what would be accepted."""

import pytest

from instances.errors import InvalidInput
from services.quantities import bytes_text, parse_bytes, parse_seconds, seconds_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2s", 2.0), ("500ms", 0.5), ("1m", 60.0), ("1h", 3600.0), ("0.25", 0.25), ("1e-1s", 0.1)],
)
def test_durations_are_read(text, seconds):
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "0s", "-1s", "2 weeks", "nan", "inf", "1e9h", "1.2.3s"])
def test_wrong_durations_are_refused(text):
    with pytest.raises(InvalidInput, match="500ms, 2s, 5m or 1h"):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["", "4", "63M", "-4G", "lots", "4GG"])
def test_wrong_sizes_are_refused(text):
    with pytest.raises(InvalidInput, match="512M or 4G"):
        parse_bytes(text)


@pytest.mark.parametrize("size", ["64M", "512M", "4G", "1T", "1536M"])
def test_sizes_round_trip(size):
    assert bytes_text(parse_bytes(size)) == size


@pytest.mark.parametrize("seconds", [0.0125, 0.1, 0.5, 1.0, 2.5, 90.0, 3600.0])
def test_durations_round_trip(seconds):
    assert parse_seconds(seconds_text(seconds)) == pytest.approx(seconds, rel=1e-12)
