"""Rows of runs as CSV, JSON or Parquet."""

import csv
import io
import json
from pathlib import Path
from typing import Any


def write_csv(rows: list[dict[str, Any]]) -> str:
    """The rows as CSV text with a header; None becomes an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_json(rows: list[dict[str, Any]]) -> str:
    """The rows as a JSON list."""
    return json.dumps(rows, indent=1) + "\n"


def write_parquet(rows: list[dict[str, Any]], file: Path) -> None:
    """Write the rows to a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), file)
