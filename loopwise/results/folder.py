"""Read and write a result's folder; docs/schema.md describes every file.

Writing is atomic: a reader sees the old file or the new one.
"""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from loopwise.errors import ResultError
from loopwise.model import SCHEMA_VERSION, Experiment, Round, Run, Verdict
from loopwise.results.columns import SAMPLE_COLUMNS, SAMPLES, TELEMETRY, TELEMETRY_COLUMNS, Column, Sample
from loopwise.results.files import read_regular, refuse_other_than_file, replacing, write_atomically
from loopwise.results.lock import locked
from loopwise.visible import encodable

EXPERIMENT, RUN, ROUND = "experiment.json", "run.json", "round.json"
ADVICE, ADVICE_PAGE = "advice.json", "advice.html"
"""Rows of `advise`, and the page made of them."""
ASIDE = "-disturbed-"
"""In the folder's name of a run that was measured again, between its replicate and its attempt."""
RUNS, ROUNDS = f"runs/*/*/{RUN}", f"pairs/*/*/*/{ROUND}"
T = TypeVar("T", Experiment, Run, Round)
STREAM, STREAMS = "samples.arrow", "samples*.arrow"
"""The generator's rows while it runs; they become samples.parquet at the end of the run."""
DELTA_COLUMNS = [field.name for field in SAMPLES if pa.types.is_integer(field.type)]
"""Differences of successive rows are small: stored as differences (Parquet's DELTA_BINARY_PACKED)."""


def result_name(suite: str, label: str | None, now: datetime) -> str:
    """`quick-20261122T153000Z-label`."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return "-".join(filter(None, [suite, stamp, label]))


class ResultFolder:
    """One result's folder: results/<suite>-<UTC time>[-label]/."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes from measuring here within a `with` block; raises ResultError where one does."""
        return locked(self.path)

    def refuse_missing(self) -> None:
        """Raise FileNotFoundError where the folder was moved or deleted: none is made anew with half of a result."""
        if not self.path.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))

    @property
    def name(self) -> str:
        """Name of the result."""
        return self.path.resolve().name

    @property
    def generator_log(self) -> Path:
        """Log of the generator that all declared runs share."""
        return self.path / "generator.log"

    @property
    def charts(self) -> Path:
        """Folder of the charts."""
        return self.path / "charts"

    def run_folder(self, case_id: str, replicate: int) -> Path:
        """Folder of a run that counts."""
        return self.path / "runs" / case_id / str(replicate)

    def folder_of(self, run: Run) -> Path:
        """Folder of a run on disk; one that was measured again has been set aside."""
        if run.status == "disturbed":
            return self._aside(run.case.case_id, run.replicate, run.attempt)
        return self.run_folder(run.case.case_id, run.replicate)

    def _aside(self, case_id: str, replicate: int, attempt: int) -> Path:
        return self.run_folder(case_id, replicate).with_name(f"{replicate}{ASIDE}{attempt}")

    def set_aside(self, case_id: str, replicate: int, attempt: int) -> None:
        """Rename the folder of a disturbed run, to make room for its repetition, and mark the run.

        Safe to repeat: a kill at any point loses nothing.
        """
        folder, aside = self.run_folder(case_id, replicate), self._aside(case_id, replicate, attempt)
        if not aside.exists() and (folder / RUN).exists():
            folder.rename(aside)
        if (aside / RUN).exists():
            with suppress(ResultError):  # `runs` reports a damaged one
                run = _read(aside / RUN, Run).model_copy(update={"status": "disturbed"})
                write_atomically(aside / RUN, run.model_dump_json(indent=2) + "\n")

    def new_run_folder(self, case_id: str, replicate: int) -> Path:
        """Make a run's folder; what an interrupted attempt left there is removed. Raises as `refuse_missing`."""
        self.refuse_missing()
        return _emptied(self.run_folder(case_id, replicate))

    def begin(self, experiment: Experiment) -> None:
        """Make the folder, and write experiment.json."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.write_experiment(experiment)

    def write_experiment(self, experiment: Experiment) -> None:
        """Write experiment.json. Raises as `refuse_missing`."""
        self.refuse_missing()
        write_atomically(self.path / EXPERIMENT, experiment.model_dump_json(indent=2) + "\n")

    def experiment(self) -> Experiment:
        """Read experiment.json.

        Raises:
            ResultError: the folder is no result, is damaged, is of a newer version, or holds links.
        """
        path = self.path / EXPERIMENT
        if not path.is_file():
            raise ResultError(
                f"{self.path}: is no result (it has no {EXPERIMENT}); name a folder made by `bench.py run`, "
                "or see `bench.py list results`"
            )
        _refuse_links(self.path)
        return _read(path, Experiment)

    def write_run(self, run: Run) -> None:
        """Write run.json."""
        write_atomically(self.folder_of(run) / RUN, run.model_dump_json(indent=2) + "\n")

    def has_run(self, case_id: str, replicate: int, attempt: int = 1) -> bool:
        """Whether this attempt at a run ended and was written, readable or not."""
        if (self._aside(case_id, replicate, attempt) / RUN).exists():
            return True
        is_next = attempt == 1 or self._aside(case_id, replicate, attempt - 1).exists()
        return is_next and (self.run_folder(case_id, replicate) / RUN).exists()

    def runs(self) -> tuple[list[Run], list[str]]:
        """Read every run.json, in the order of execution, disturbed runs that were repeated among them.

        Returns:
            The runs, and a sentence for each that can't be read.
        """
        found, damaged = _read_all(self.path, RUNS, Run)
        # The folder's name decides: a kill may have come before run.json said so.
        marked = [
            (path, run.model_copy(update={"status": "disturbed"}) if ASIDE in path.parent.name else run)
            for path, run in found
        ]
        runs, misplaced = _in_place(marked, self.folder_of)
        return sorted(runs, key=lambda run: run.order), damaged + misplaced

    def round_folder(self, baseline_case: str, candidate_case: str, number: int) -> Path:
        """Folder of one round of a pair."""
        return self.path / "pairs" / baseline_case / candidate_case / str(number)

    def new_round_folder(self, baseline_case: str, candidate_case: str, number: int) -> Path:
        """Make a round's folder; what an interrupted attempt left there is removed. Raises as `refuse_missing`."""
        self.refuse_missing()
        return _emptied(self.round_folder(baseline_case, candidate_case, number))

    def write_round(self, measured: Round) -> None:
        """Write round.json."""
        write_atomically(self._folder_of_round(measured) / ROUND, measured.model_dump_json(indent=2) + "\n")

    def _folder_of_round(self, measured: Round) -> Path:
        return self.round_folder(measured.baseline_case, measured.candidate_case, measured.number)

    def rounds(self) -> tuple[list[Round], list[str]]:
        """Read every round.json.

        Returns:
            The rounds, by pair and in the order of their numbers, and a sentence for each that can't be read.
        """
        found, damaged = _read_all(self.path, ROUNDS, Round)
        rounds, misplaced = _in_place(found, self._folder_of_round)
        rounds.sort(key=lambda each: (each.baseline_case, each.candidate_case, each.number))
        return rounds, damaged + misplaced

    def write_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Write verdicts.json."""
        rows = [verdict.model_dump() for verdict in verdicts]
        write_atomically(self.path / "verdicts.json", json.dumps(rows, indent=2) + "\n")

    def has_rows(self) -> bool:
        """Whether there is a folder of a run, or of a pair's round, to make a report from."""
        return any(self.path.glob("runs/*/*")) or any(self.path.glob(ROUNDS))

    def samples(self, run: Run, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a run, warm-up and drain included; recovered if the generator was killed.

        Args:
            run: which.
            columns: None: all.

        Raises:
            ResultError: the file is missing or damaged.
        """
        return self._rows(self.folder_of(run), columns)

    def telemetry(self, run: Run, columns: Sequence[str]) -> pa.Table | None:
        """Those of the columns that a run's telemetry.parquet has; None without the file.

        Raises:
            ResultError: the file is damaged.
        """
        path = self.folder_of(run) / "telemetry.parquet"
        if not path.exists():
            return None
        remedy = "its run has no time line of server and machine; restore the file to have one"
        return self._table(path, columns, remedy)

    def round_samples(self, measured: Round) -> pa.Table:
        """All rows of a round; endpoints begin with the side. Raises ResultError as `samples`."""
        return self._rows(self._folder_of_round(measured))

    def _rows(self, folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
        path = folder / "samples.parquet"
        if not path.exists() and any(folder.glob(STREAMS)):
            with self.locked():  # a stream that is being written is left alone
                seal_samples(folder)
        return self._table(path, columns, "delete this run's folder and measure it again with `run --resume`")

    def _table(self, path: Path, columns: Sequence[str] | None, remedy: str) -> pa.Table:
        """The rows of a Parquet file; columns that it lacks are left out."""
        try:
            refuse_other_than_file(path)
            with pq.ParquetFile(path) as file:
                known = file.schema_arrow.names
                ours = SAMPLE_COLUMNS if path.name == "samples.parquet" else TELEMETRY_COLUMNS
                _refuse_other_schema(file.schema_arrow, ours)
                table = file.read(columns=None if columns is None else [name for name in columns if name in known])
                _refuse_gaps(table, ours)
                return table
        except (OSError, pa.ArrowException) as error:
            raise ResultError(
                f"{path.relative_to(self.path)}: cannot be read ({_first_line(error)}); {remedy}"
            ) from None

    def write_telemetry(self, folder: Path, samples: list[Sample]) -> pa.Table:
        """Write a run's telemetry.parquet; returns its rows."""
        table = pa.Table.from_pylist([sample.row() for sample in samples], schema=TELEMETRY)
        _write_parquet(table, folder / "telemetry.parquet", compression="zstd")
        return table


def seal_samples(folder: Path) -> int:
    """Turn a run's Arrow streams into samples.parquet, sorted by arrival; returns the number of rows.

    A stream that a kill cut off yields its complete batches.
    """
    streams, path = sorted(folder.glob(STREAMS)), folder / "samples.parquet"
    tables = [pa.Table.from_batches(batches) for stream in streams if (batches := list(_complete_batches(stream)))]
    # A stream of an earlier version lacks columns, or has smaller numbers.
    table = pa.concat_tables([SAMPLES.empty_table(), *tables], promote_options="permissive").unify_dictionaries()
    table = table.take(pc.sort_indices(table, sort_keys=[("received_ns", "ascending")]))
    _write_parquet(
        table,
        path,
        compression="zstd",
        use_dictionary=[field.name for field in SAMPLES if pa.types.is_dictionary(field.type)],
        column_encoding=dict.fromkeys(DELTA_COLUMNS, "DELTA_BINARY_PACKED"),
        write_statistics=False,
    )
    for stream in streams:
        stream.unlink()
    return int(table.num_rows)


def _complete_batches(stream: Path) -> Iterator[pa.RecordBatch]:
    if not stream.exists() or not stream.stat().st_size:
        return
    with pa.OSFile(str(stream), "rb") as source:
        try:
            reader = pa.ipc.open_stream(source)
            while True:
                yield reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException):
            return  # a batch that was being written when the generator was killed


def _write_parquet(table: pa.Table, path: Path, **options: Any) -> None:
    with replacing(path) as sink:
        pq.write_table(table, sink, **options)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _refuse_links(folder: Path) -> None:
    """Refuse a result in which a link would lead a write elsewhere, or a pipe or device would never end."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISSOCK(mode)):
                what = "link" if stat.S_ISLNK(mode) else "pipe or a device"
                raise ResultError(
                    f"{path}: is a {what}, and a result holds files and folders only; remove it, "
                    "or put there what it stands for"
                )


def _in_place(found: Sequence[tuple[Path, T]], folder_of: Callable[[T], Path]) -> tuple[list[T], list[str]]:
    """The nouns that lie in the folders of their own, and a sentence for each that does not."""
    kept, misplaced = [], []
    for path, each in found:
        if path.parent == folder_of(each):
            kept.append(each)
        else:
            misplaced.append(
                f"{path}: belongs to {folder_of(each)}, and not to the folder where it is; move it back, or delete it"
            )
    return kept, misplaced


def _read_all(folder: Path, pattern: str, noun: type[T]) -> tuple[list[tuple[Path, T]], list[str]]:
    """The files of a pattern that can be read, each with what it holds, and a sentence for each that can't."""
    found, damaged = [], []
    for path in sorted(folder.glob(pattern)):
        try:
            found.append((path, _read(path, noun)))
        except ResultError as error:
            damaged.append(str(error))
    return found, damaged


def _read(path: Path, noun: type[T]) -> T:
    """Parse one of our JSON files; refuse one that is damaged, or newer than this Loopwise."""
    remedy = "restore it, or measure again"
    try:
        data = encodable(json.loads(read_regular(path).decode()))
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"{path}: cannot be read ({_first_line(error)}); {remedy}") from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise ResultError(f"{path}: has no schema_version, so it is not one of Loopwise's files; {remedy}")
    if version > SCHEMA_VERSION:
        raise ResultError(
            f"{path}: schema_version is {version}, this Loopwise reads up to {SCHEMA_VERSION}; "
            "read it with the version that wrote it, or a newer one"
        )
    try:
        return noun.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ResultError(f"{path}: {key}: {first['msg']}; {remedy}") from None


def _refuse_other_schema(schema: pa.Schema, columns: Sequence[Column]) -> None:
    """Raise ArrowInvalid for a file that lacks a column, or in which one of ours is of another kind.

    Of telemetry only required columns are asked for: what more there is depends on version and server.
    """
    for each in columns:
        if each.name in schema.names:
            kind = schema.field(each.name).type
            if _kind(kind) != _kind(each.type):
                raise pa.ArrowInvalid(f"its column {each.name} is {kind}, not {each.type}")
        elif each.required or (columns is SAMPLE_COLUMNS and not each.later):
            raise pa.ArrowInvalid(f"it has no column {each.name}")


def _kind(type_: pa.DataType) -> str:
    """What values of a type are, however wide and however stored."""
    if pa.types.is_dictionary(type_):
        return _kind(type_.value_type)
    return "integer" if pa.types.is_integer(type_) else "float" if pa.types.is_floating(type_) else str(type_)


def _refuse_gaps(table: pa.Table, columns: Sequence[Column]) -> None:
    """Raise ArrowInvalid where a required column lacks values."""
    for each in columns:
        if each.required and each.name in table.column_names and table.column(each.name).null_count:
            raise pa.ArrowInvalid(f"its column {each.name} lacks values")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def find_results(folder: Path) -> list[ResultFolder]:
    """The results below a folder, newest first."""
    results = [ResultFolder(path.parent) for path in folder.glob(f"*/{EXPERIMENT}")]
    return sorted(results, key=lambda result: (result.path / EXPERIMENT).stat().st_mtime, reverse=True)
