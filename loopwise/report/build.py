"""Write everything a report consists of: tables, verdicts, charts, page."""

import errno
import json
from typing import Any

from loopwise.analysis.summary import Summary, summarise
from loopwise.errors import ResultError
from loopwise.model import SCHEMA_VERSION
from loopwise.report.charts.specs import save
from loopwise.report.export import tidy
from loopwise.report.html.report import write_report
from loopwise.results.files import check_writable, refusal, write_atomically
from loopwise.results.folder import ResultFolder

FILES = ("summary.csv", "summary.json", "verdicts.json", "report.html")


def build(result: ResultFolder) -> Summary:
    """(Re)build a result's summary.csv, summary.json, verdicts.json, charts and report.html; nothing is re-measured.

    Raises:
        OSError: it can't be written there.
        ResultError: it is no result, or one whose rows were taken away (results/showcase): its report stays as it is.
    """
    if not result.has_rows() and (result.path / "summary.csv").exists():
        raise ResultError(
            f"{result.path}: has a report and no rows to make it anew from (runs/*/*/samples.parquet); "
            "open its report.html as it is, or restore the rows"
        )
    _refuse_unwritable(result)
    summary = summarise(result)
    write_tables(summary, result)
    charts = save(summary, result.charts)
    write_report(summary, charts, result.path / "report.html")
    return summary


def _refuse_unwritable(result: ResultFolder) -> None:
    """Refuse a folder in which the report could not be written, before it is computed.

    Raises:
        OSError: the folder can't be written to, or something else lies in a file's place.
    """
    if result.path.is_dir():
        check_writable(result.path)
    for path in (result.path / name for name in FILES):
        if path.is_dir():
            raise refusal(errno.EISDIR, path)
    if result.charts.exists() and not result.charts.is_dir():
        raise refusal(errno.ENOTDIR, result.charts)


def write_tables(summary: Summary, result: ResultFolder) -> None:
    """Write summary.csv, summary.json and verdicts.json."""
    write_atomically(result.path / "summary.csv", tidy.csv(summary))
    write_atomically(result.path / "summary.json", _json(_document(summary)))
    result.write_verdicts(summary.verdicts)


def _document(summary: Summary) -> dict[str, Any]:
    experiment = summary.experiment
    return {
        "schema_version": SCHEMA_VERSION,
        "name": experiment.name,
        "suite": experiment.suite.name,
        "created_at": experiment.created_at,
        "answers": list(summary.answers),
        "cards": [each.model_dump(mode="json") for each in summary.cards],
        "rows": json.loads(summary.table.to_json(orient="records", double_precision=12)),
        "verdicts": [verdict.model_dump() for verdict in summary.verdicts],
        "predictions": [each.model_dump(mode="json") for each in summary.predictions],
        "errors": [
            {
                "case_id": case_id,
                **error.counted.model_dump(),
                "replicates": list(error.replicates),
                "runs": error.runs,
            }
            for case_id, errors in summary.errors.items()
            for error in errors
        ],
        "scaling": [each.model_dump(mode="json") for each in summary.scaling],
        "damaged": list(summary.damaged),
    }


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
