"""Rows of runs as CSV, JSON or Parquet."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any


def write_csv(rows: list[dict[str, Any]]) -> str:
    """The rows as CSV text with a header; None becomes an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def json_text(document: Any) -> str:
    """A document as JSON; numbers that JSON does not have (nan, infinities) become null."""
    return json.dumps(_finite(document), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value


def write_parquet(rows: list[dict[str, Any]], file: Path) -> None:
    """Write the rows to a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), file)
