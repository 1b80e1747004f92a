"""One function in every mode: on the event loop, in a thread, or in a process. Standard library only, Python 3.9.

`in_mode` gives what the framework calls instead of the function as written. A coroutine that never suspends can be run
without an event loop: one `send(None)` takes it to its end. Where that doesn't work, ModeError says why and where.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import linecache
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

Call = Callable[..., Any]

NEEDS_LOOP = (
    "no running event loop",
    "no current event loop",
    "There is no current event loop",
    "is bound to a different event loop",
    "attached to a different loop",
)
"""Of RuntimeErrors: asyncio's own, in a thread that runs no loop."""
NEEDS_LIBRARY = ("AsyncLibraryNotFoundError", "NoEventLoopError")
"""Of sniffio and AnyIO, for the same."""
INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}", f"{Path(os.__file__).parent}{os.sep}")
DEPTH = 5
"""Values in values in which one that can't be pickled is looked for."""


class ModeError(Exception):
    """The function can't be run in the mode; the message completes "GET /x can't be measured as sync: "."""


class PickleError(Exception):
    """A value can't be pickled or unpickled; the message is what its own code raised, on one line."""


class Line(NamedTuple):
    """A line of source."""

    path: str
    number: int

    def __str__(self) -> str:
        """Format as `shop/main.py:46 (await asyncio.sleep(1))`, from the working directory where it lies below."""
        source = linecache.getline(self.path, self.number).strip()
        return f"{shown(self.path)}:{self.number}{f' ({source})' if source else ''}"


def shown(path: str) -> str:
    """Return a path as people write it: relative to one of the folders that modules are imported from."""
    roots = [f"{Path(each or os.curdir).absolute()}{os.sep}" for each in sys.path]
    root = max((each for each in roots if path.startswith(each)), key=len, default="")
    return path[len(root) :]


def function_of(call: Call) -> Any:
    """Return the function behind a partial, a method or an instance with `__call__`."""
    while isinstance(call, functools.partial):
        call = call.func
    if not inspect.isroutine(call) and not inspect.isclass(call):
        call = inspect.getattr_static(type(call), "__call__", call)
    return getattr(call, "__func__", call)


def is_async(call: Call) -> bool:
    """Whether a call gives a coroutine."""
    return inspect.iscoroutinefunction(function_of(call))


def streams(call: Call) -> bool:
    """Whether a call gives a generator."""
    function = function_of(call)
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def place(call: Call) -> str:
    """Return where the function stands: `shop/main.py:44`; without a file, its name."""
    function = function_of(call)
    code = getattr(function, "__code__", None)
    if code is not None:
        return f"{shown(code.co_filename)}:{code.co_firstlineno}"
    try:
        return f"{shown(inspect.getfile(function))}:{inspect.getsourcelines(function)[1]}"
    except (OSError, TypeError):
        return str(getattr(call, "__qualname__", type(call).__qualname__))


# A coroutine without an event loop


def drive(coroutine: Any) -> Any:
    """Run a coroutine to its end in this thread; returns its result.

    Raises:
        ModeError: it suspends, or it needs the running event loop.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    except Exception as error:  # the endpoint's own, unless it is for want of a loop
        if _needs_loop(error):
            frames = [Line(f.f_code.co_filename, number) for f, number in traceback.walk_tb(error.__traceback__)]
            raise ModeError(f"it needs the event loop at {_own(frames[1:])}, and would run without one") from error
        raise
    where = _own([Line(frame.f_code.co_filename, frame.f_lineno) for frame in _suspended(coroutine)])
    with suppress(RuntimeError):  # it goes on after it was told to end
        coroutine.close()
    raise ModeError(f"it suspends at {where}, and would have no event loop to go on with")


def _needs_loop(error: Exception) -> bool:
    if isinstance(error, RuntimeError) and any(words in str(error) for words in NEEDS_LOOP):
        return True
    return type(error).__name__ in NEEDS_LIBRARY


def _suspended(awaited: Any) -> Iterator[Any]:
    """Yield the frames of a coroutine and of those that it awaits, the outermost first."""
    while awaited is not None:
        kind = next((each for each in ("cr", "gi", "ag") if hasattr(awaited, f"{each}_frame")), None)
        if kind is None:
            return
        frame = getattr(awaited, f"{kind}_frame")
        if frame is not None:
            yield frame
        awaited = getattr(awaited, {"cr": "cr_await", "gi": "gi_yieldfrom", "ag": "ag_await"}[kind])


def _own(lines: list[Line]) -> Line:
    """Return the innermost line that is not of an installed package, or else the outermost."""
    own = [line for line in lines if not line.path.startswith("<") and not any(part in line.path for part in INSTALLED)]
    return (own or lines[:1])[-1]


# Modes


def in_mode(call: Call, mode: str, refuse: Callable[[ModeError], None], run_pooled: Call | None = None) -> Call:
    """Return what the framework is to call instead of a function; the function itself where it is written so.

    Args:
        call: the function as written.
        mode: `async`, `sync`, `to_thread` or `process`.
        refuse: receives the reason for which a call could not be made in this mode, which is then raised.
        run_pooled: `await run_pooled(run_call, call, payload)` runs it in a process; for mode `process`.
    """
    awaited = is_async(call)
    if mode == ("async" if awaited else "sync"):
        return call
    in_thread = _driven(call, refuse) if awaited else call
    if mode == "sync":
        return named(in_thread, call)
    if mode == "to_thread":

        async def to_thread(*args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(in_thread, *args, **kwargs)

        return named(to_thread, call)
    if mode == "process":
        assert run_pooled is not None
        return named(_pooled(call, refuse, run_pooled), call)
    if mode != "async":
        raise ModeError(f"{mode} is no mode of an app's endpoint")

    async def on_loop(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    return named(on_loop, call)


def _driven(call: Call, refuse: Callable[[ModeError], None]) -> Call:
    def driven(*args: Any, **kwargs: Any) -> Any:
        try:
            return drive(call(*args, **kwargs))
        except ModeError as reason:
            refuse(reason)
            raise

    return driven


def named(replacement: Call, call: Call) -> Call:
    """Give it the names and the signature of the function that it stands for.

    Not `functools.wraps`: by its `__wrapped__` FastAPI would look through to the function as written.
    """
    names = ("__module__", "__name__", "__qualname__", "__doc__")
    attributes = {name: getattr(call, name) for name in names if hasattr(call, name)}
    with suppress(TypeError, ValueError):
        attributes["__signature__"] = inspect.signature(call)
    for name, value in attributes.items():
        setattr(replacement, name, value)
    return replacement


# In a process


def _pooled(call: Call, refuse: Callable[[ModeError], None], run_pooled: Call) -> Call:
    async def pooled(*args: Any, **kwargs: Any) -> Any:
        try:
            outcome, value = _unpacked(await run_pooled(run_call, call, _packed_arguments(call, args, kwargs)))
        except ModeError as reason:
            refuse(reason)
            raise
        if outcome == "raised":
            raise _rebuilt(*value)
        return value

    return pooled


def refuse_unnamed(call: Call) -> None:
    """Refuse a function that another process could not find by its module and name.

    Raises:
        ModeError: it is no plain function of a module.
    """
    if not inspect.isfunction(call):
        raise ModeError(f"it is no plain function but a {type(call).__name__}, and another process can't find it")
    try:
        _pickled(call)
    except PickleError as error:
        name = f"{call.__module__}.{call.__qualname__}"
        raise ModeError(f"another process can't find the function of {place(call)} as {name}: {error}") from error


def _packed_arguments(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    try:
        return _pickled((args, kwargs))
    except PickleError as error:
        values = dict(inspect.signature(call).bind(*args, **kwargs).arguments)
        words = f"its argument {_culprit(values, error)}, and so can't go to another process ({place(call)})"
        raise ModeError(words) from error


def run_call(call: Call, payload: bytes) -> bytes:
    """Run a function in a process of the pool, and pack what became of it: `answered`, `raised` or `refused`."""
    try:
        args, kwargs = _unpickled(payload)
    except PickleError as error:
        return _pickled(("refused", f"its arguments can't be unpickled in another process: {error}"))
    try:
        answer = call(*args, **kwargs)
        answer = drive(answer) if inspect.iscoroutine(answer) else answer
    except ModeError as reason:
        return _pickled(("refused", str(reason)))
    except Exception as error:  # the endpoint's own, which goes back to where it was called
        return _packed_exception(error)
    try:
        return _pickled(("answered", answer))
    except PickleError as error:
        culprit = _culprit({"answer": answer}, error)
        return _pickled(("refused", f"its {culprit}, and so can't come back from another process ({place(call)})"))


def _unpacked(packed: bytes) -> tuple[str, Any]:
    try:
        outcome, value = _unpickled(packed)
    except PickleError as error:
        raise ModeError(f"its answer can't be unpickled: {error}") from error
    if outcome == "refused":
        raise ModeError(value)
    return outcome, value


def _packed_exception(error: Exception) -> bytes:
    """Pack an exception without calling its class again, whose arguments are not known."""
    frames = [Line(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(error.__traceback__)]
    where = f"in a process of the pool, where the app's lifespan has not run: {_own(frames[1:])}"
    try:
        packed = _pickled(("raised", (type(error), error.args, vars(error), where)))
        _unpickled(packed)
    except PickleError:
        packed = _pickled(("raised", (RuntimeError, (_one_line(error),), {}, where)))
    return packed


def _rebuilt(kind: type[Exception], args: tuple[Any, ...], attributes: dict[str, Any], where: str) -> Exception:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(attributes)
    if hasattr(error, "add_note"):  # Python 3.11
        error.add_note(where)  # ends its traceback in the log
    return error


def _culprit(values: dict[str, Any], error: PickleError) -> str:
    """Name the innermost value that can't be pickled: `item.rows (Cursor) can't be pickled`."""
    for name, value in values.items():
        path, found = name, value
        if not _pickles(value):
            for _ in range(DEPTH):
                inner = next((part for part in _parts(found) if not _pickles(part[1])), None)
                if inner is None:
                    break
                path, found = path + inner[0], inner[1]
            return f"{path} ({type(found).__name__}) can't be pickled"
    return f"can't be pickled: {error}"


def _pickles(value: Any) -> bool:
    try:
        _pickled(value)
    except PickleError:
        return False
    return True


def _pickled(value: Any) -> bytes:
    packed: bytes = _converted(pickle.dumps, value)
    return packed


def _unpickled(packed: bytes) -> Any:
    return _converted(pickle.loads, packed)


def _converted(convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except Exception as error:  # runs `__reduce__` and the like of anybody's classes, which may raise anything
        raise PickleError(_one_line(error)) from error


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", each) for key, each in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{number}]", each) for number, each in enumerate(value))
    else:
        yield from ((f".{name}", each) for name, each in getattr(value, "__dict__", {}).items())


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
