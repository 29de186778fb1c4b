"""Exported data are readable by anyone, whatever the numbers."""

import csv
import io
import json
import math

import pyarrow.parquet as pq

from services.export import json_text, write_csv, write_parquet

ROWS = [{"name": 'a "quoted", name', "gap": 1.5, "cost": None}, {"name": "b\nc", "gap": math.nan, "cost": 3}]


def test_json_has_null_where_a_number_is_not_finite():
    """NaN and infinities, at any depth, are null."""
    assert json.loads(json_text({"a": [math.nan, (math.inf, 1.5)], "b": {"c": -math.inf}})) == {
        "a": [None, [None, 1.5]],
        "b": {"c": None},
    }


def test_csv_quotes_what_needs_quotes_and_leaves_none_empty():
    """Commas, quotes and line breaks survive; None is an empty cell."""
    rows = list(csv.DictReader(io.StringIO(write_csv(ROWS))))
    assert [row["name"] for row in rows] == [row["name"] for row in ROWS]
    assert [row["cost"] for row in rows] == ["", "3"]


def test_parquet_keeps_values_and_none(tmp_path):
    """Values come back as they were."""
    write_parquet(ROWS, tmp_path / "rows.parquet")
    rows = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [(row["name"], row["cost"]) for row in rows] == [(row["name"], row["cost"]) for row in ROWS]
    assert math.isnan(rows[1]["gap"])
