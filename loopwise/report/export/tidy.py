"""The rows of summary.csv as CSV, JSON and Parquet."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from loopwise.analysis.summary import COLUMNS, Summary
from loopwise.model import SCHEMA_VERSION
from loopwise.report.export.spreadsheet import cell

_TYPES = {
    **dict.fromkeys(("workers", "replicates"), pa.int64()),
    **dict.fromkeys(("value", "ci_low", "ci_high", "confidence", "predicted"), pa.float64()),
    "valid": pa.bool_(),
}
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
"""Of summary.parquet, whatever the rows are. Its metadata holds schema_version and the result's name."""


def csv(summary: Summary) -> str:
    """Lines of CSV; a gap is an empty field, and no text is a formula."""
    texts = {str(name): summary.table[name].map(cell) for name in summary.table if name not in _TYPES}
    return str(summary.table.assign(**texts).to_csv(index=False))


def json_text(summary: Summary) -> str:
    """A JSON list of objects; a gap is null."""
    return json.dumps(_records(summary), indent=1, allow_nan=False) + "\n"


def parquet(summary: Summary) -> bytes:
    """A Parquet file with SCHEMA."""
    metadata = {"schema_version": str(SCHEMA_VERSION), "name": summary.experiment.name}
    table = pa.Table.from_pylist(_records(summary), schema=SCHEMA).replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def _records(summary: Summary) -> list[dict[str, object]]:
    """The rows, gaps as None."""
    table = summary.table.astype(object)
    records = table.where(pd.notna(table), None).to_dict("records")
    return [{str(name): value for name, value in record.items()} for record in records]
