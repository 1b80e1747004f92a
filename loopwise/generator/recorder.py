"""Recorder of a row per request: integers in a list on the hot path, Arrow batches off it.

The stream has the Arrow IPC format, whose complete batches stay readable whatever becomes of the writer, so a killed
generator loses at most one flush interval. The harness turns it into samples.parquet (results.folder.seal_samples).
"""

from collections.abc import Callable
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loopwise.results.columns import KERNEL, SAMPLES, TEXT, UNFINISHED, USER
from loopwise.visible import encodable

FLUSH_INTERVAL_S = 0.25
KERNEL_STAMP, USER_STAMP = 0, 1
"""Numbers of the stamps' names in every recorder."""
RETRIED = 2
"""Added to the stamp of a request that was sent twice, so that the others need no field for it."""

Row = tuple[int | None, int, int, int, int, int, int | None, int, int | None, int]
"""One request in the order of SAMPLES without `retried`; texts are stored as their numbers (Names)."""

NUMBERED = [field.with_type(pa.int32()) if field.type == TEXT else field for field in SAMPLES]
"""The columns of a batch, with numbers in place of texts."""
STORED = [field for field in NUMBERED if field.name != "retried"]
"""The columns of a row."""


class Names:
    """Numbered texts: a row holds small integers, and each text is kept once."""

    def __init__(self, *texts: str) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._column: pa.Array | None = None
        for text in texts:
            self.number(text)

    def number(self, text: str) -> int:
        """The text's number; a new text gets the next one."""
        number = self._numbers.get(text)
        return self._add(text) if number is None else number

    def _add(self, text: str) -> int:
        written = encodable(text)  # a script may name a lone surrogate
        number = self._numbers.setdefault(written, len(self.texts))
        if number == len(self.texts):
            self.texts.append(written)
        self._numbers[text] = number
        return number

    def column(self) -> pa.Array:
        """The texts as an Arrow column; cached until there are new ones."""
        if self._column is None or len(self._column) != len(self.texts):
            parts = [text.encode() for text in self.texts]
            offsets = np.cumsum([0, *map(len, parts)], dtype=np.int32)
            buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(parts))]
            self._column = pa.Array.from_buffers(pa.string(), len(parts), buffers)
        return self._column


class Column(NamedTuple):
    """A column of a flush: integers, and a mask of those that are not null (None: all)."""

    values: NDArray[np.int64]
    is_valid: NDArray[np.bool_] | None


Batch = dict[str, Column]
"""The columns of a flush by name; texts are stored as their numbers."""


def _column(values: list[int | None]) -> Column:
    """A column with zeros in place of None. What is usual (no None, nothing else) comes first: it costs a tenth."""
    count = len(values)
    try:
        return Column(np.fromiter(cast("list[int]", values), np.int64, count), None)
    except TypeError:  # None is no integer
        if values.count(None) == count:
            return Column(np.zeros(count, dtype=np.int64), np.zeros(count, dtype=bool))
    is_valid = np.array([value is not None for value in values])
    return Column(np.array([0 if value is None else value for value in values], dtype=np.int64), is_valid)


def _array(field: pa.Field, column: Column) -> pa.Array:
    """A column as an Arrow array.

    Made from a buffer and not by `pa.array(values)`, whose first call imports pandas: that would stall the run's
    first flush for 0.2 s.
    """
    validity = None
    if column.is_valid is not None:
        validity = pa.py_buffer(np.packbits(column.is_valid, bitorder="little").tobytes())
    if pa.types.is_boolean(field.type):
        data = pa.py_buffer(np.packbits(column.values != 0, bitorder="little").tobytes())
    else:
        data = pa.py_buffer(column.values.astype(field.type.to_pandas_dtype()))
    return pa.Array.from_buffers(field.type, len(column.values), [validity, data])


class Recorder:
    """Collects rows and writes them to an Arrow stream.

    `append` is `list.extend`, bound once: the hot path's only cost. No row is kept as a tuple: the garbage collector
    would look at each.

    Args:
        sink: where the stream is written to; closed with the recorder.
    """

    def __init__(self, sink: BinaryIO) -> None:
        self.endpoints = Names()
        self.errors = Names()
        self.stamps = Names(KERNEL, USER)
        self._values: list[int | None] = []
        self.append: Callable[[Row], None] = self._values.extend
        self.written = 0
        self.failures = 0
        """Rows written with an error, unfinished requests excepted; shown as progress."""
        self.on_flush: Callable[[Batch], None] | None = None
        """Called with the columns of each flush."""
        self._sink = sink
        # Dictionaries grow while the run goes on; deltas keep the stream valid without rewriting them.
        options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
        self._writer = pa.ipc.new_stream(sink, SAMPLES, options=options)

    @property
    def rows(self) -> int:
        """Rows recorded so far, written or not."""
        return self.written + len(self._values) // len(STORED)

    def flush(self) -> None:
        """Write what has been collected as one batch."""
        values = self._values[:]
        if not values:
            return
        # The list stays the same object: `append` is bound to it. Nothing runs between copy and delete.
        del self._values[: len(values)]
        batch = {field.name: _column(values[place :: len(STORED)]) for place, field in enumerate(STORED)}
        stamps = batch["stamp"].values
        batch["stamp"] = Column(stamps & ~RETRIED, None)
        batch["retried"] = Column(stamps & RETRIED, batch["connection"].is_valid)
        self.failures += int(failed(batch, self).sum())
        arrays = [_array(field, batch[field.name]) for field in NUMBERED]
        for name, texts in (("endpoint", self.endpoints), ("error", self.errors), ("stamp", self.stamps)):
            index = SAMPLES.get_field_index(name)
            arrays[index] = pa.DictionaryArray.from_arrays(arrays[index], texts.column())
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=SAMPLES))
        self._sink.flush()
        self.written += len(values) // len(STORED)
        if self.on_flush is not None:
            self.on_flush(batch)

    def end(self) -> None:
        """Write the rest and end the stream; the sink stays open."""
        self.flush()
        self._writer.close()

    def close(self) -> None:
        """Write the rest, end the stream and close the sink."""
        self.end()
        self._sink.close()


def failed(batch: Batch, recorder: Recorder) -> NDArray[np.bool_]:
    """Mask of the rows with an error; an unfinished request has failed in nothing."""
    return _has_error(batch) & ~unfinished(batch, recorder)


def unfinished(batch: Batch, recorder: Recorder) -> NDArray[np.bool_]:
    """Mask of the rows that the end of the run cut off."""
    return _has_error(batch) & np.equal(batch["error"].values, recorder.errors.number(UNFINISHED))


def _has_error(batch: Batch) -> NDArray[np.bool_]:
    values, is_valid = batch["error"]
    return np.ones(len(values), dtype=bool) if is_valid is None else is_valid
