"""The rows of summary.csv for programs that read tables."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from loopwise.analysis.summary import COLUMNS, Summary
from loopwise.model import SCHEMA_VERSION
from loopwise.results.folder import ResultFolder, write_atomically

INTEGERS, FLAGS = ("workers", "replicates"), ("valid",)
NUMBERS = ("value", "ci_low", "ci_high", "confidence", "predicted")


def _type(name: str) -> pa.DataType:
    if name in INTEGERS:
        return pa.int64()
    if name in FLAGS:
        return pa.bool_()
    return pa.float64() if name in NUMBERS else pa.string()


SCHEMA = pa.schema([(name, _type(name)) for name in COLUMNS])
"""Of summary.parquet. Its metadata has schema_version and the result's name."""


def write_csv(summary: Summary, _result: ResultFolder, folder: Path) -> list[Path]:
    """summary.csv: a gap is an empty field."""
    path = folder / "summary.csv"
    write_atomically(path, summary.table.to_csv(index=False))
    return [path]


def write_json(summary: Summary, _result: ResultFolder, folder: Path) -> list[Path]:
    """summary.json: a list of objects, a gap is null."""
    path = folder / "summary.json"
    write_atomically(path, json.dumps(_records(summary), indent=1, allow_nan=False) + "\n")
    return [path]


def write_parquet(summary: Summary, _result: ResultFolder, folder: Path) -> list[Path]:
    """summary.parquet, with SCHEMA whatever the rows are."""
    path = folder / "summary.parquet"
    told = {"schema_version": str(SCHEMA_VERSION), "name": summary.experiment.name}
    table = pa.Table.from_pylist(_records(summary), schema=SCHEMA).replace_schema_metadata(told)
    pq.write_table(table, path, compression="zstd")
    return [path]


def _records(summary: Summary) -> list[dict[str, object]]:
    """The rows, gaps as None."""
    table = summary.table.astype(object)
    records = table.where(pd.notna(table), None).to_dict("records")
    return [{str(name): value for name, value in record.items()} for record in records]
