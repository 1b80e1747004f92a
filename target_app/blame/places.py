"""Choose the line to blame from a copy of a stack. Standard library only, Python 3.9 or newer.

Copied beside the probe as `loopwise_places.py`, too, which needs to know whose code a file is (stacks.py).
"""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
from types import CodeType, FrameType
from typing import NamedTuple

MACHINERY = (
    *("asyncio", "uvloop", "uvicorn", "uvicorn_worker", "gunicorn", "hypercorn", "granian"),
    *("aiocop", "selectors.py", "runpy.py", "click", "contextlib.py", "multiprocessing", "threading.py"),
)
"""Packages and modules that are never to blame: they run the loop."""
DISPATCHERS = (
    "fastapi/routing.py",
    "fastapi/applications.py",
    "fastapi/middleware/",
    "starlette/routing.py",
    "starlette/applications.py",
    "starlette/middleware/",
    "starlette/_exception_handler.py",
)
"""Code that calls the route. A frame of the app outside of it is a middleware that only passes a request on."""


ASYNCHRONOUS = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
"""Flags of code that may await."""


class Site(NamedTuple):
    """What an `async def` of the app was executing while something deeper held the loop."""

    path: str
    line: int
    columns: tuple[int, int, int, int] | None
    """As in Spot."""
    function: str


class Spot(NamedTuple):
    """A line and what it was about to call."""

    path: str
    line: int
    is_app: bool
    columns: tuple[int, int, int, int] | None
    """First line, last line, first column, column after the last (in bytes) of the expression; None before 3.11."""
    callee: str | None
    """The Python function that the line was in, as `requests.api.get`; None: C code, or the line itself."""
    function: str = ""
    """The one whose line it is."""
    site: Site | None = None
    """In the innermost `async def` of the app: the line itself, or the call that led there; None: in none."""


class Frame(NamedTuple):
    """A copy of a frame."""

    code: CodeType
    at: int
    line: int
    module: str


Stack = list[Frame]
"""From the innermost frame outwards."""


class Places:
    """Tells the app's own files from libraries, the standard library and what runs the loop.

    Args:
        app_dir: what lies below it, and is not installed there, is the user's own.
        ours: folder of the instruments, which are never to blame.
        package: the app's top-level module, which is its own where it is installed, too (is_own).
    """

    def __init__(self, app_dir: str, ours: str, package: str = "") -> None:
        self.app_dir = os.path.join(os.path.realpath(app_dir), "")
        self.cwd = os.getcwd()  # an app may leave it; file names stay relative to this one
        self.package: tuple[str, ...] = (f"{package}/", f"{package}.py") if package else ()
        self.ours = os.path.realpath(ours) + os.sep
        paths = sysconfig.get_paths()
        self.standard = tuple(os.path.realpath(paths[name]) + os.sep for name in ("stdlib", "platstdlib"))
        folders = {os.path.realpath(folder) + os.sep for folder in sys.path if folder} - {self.app_dir}
        self.installations = tuple(folder for folder in folders if _has_packages(folder))
        self.borders = {
            f"{self.ours}loopwise_probe.py": "own",
            f"{self.ours}{os.path.join('loopwise_blame', 'probe.py')}": "border",
        }
        self._kinds: dict[str, str] = {}
        self._reals: dict[str, str] = {}
        self._columns: dict[tuple[CodeType, int], tuple[int, int, int, int] | None] = {}

    def kind(self, path: str) -> str:
        """One of `app`, `library`, `standard`, `dispatcher`, `machinery`, and the following.

        `synthetic`: code that is in no file. `own`: the probe of timed runs. `border`: our wrapper, which calls it.
        """
        known = self._kinds.get(path)
        if known is None:
            known = self._kinds[path] = self._kind(path)
        return known

    def real(self, path: str) -> str:
        """The file that a code object names, with links resolved."""
        return os.path.realpath(os.path.join(self.cwd, path))

    def _kind(self, path: str) -> str:
        real = self.real(path)
        if path.startswith("<frozen"):
            return "machinery"
        if path.startswith("<") or not (os.path.isabs(path) or os.path.exists(real)):
            return "synthetic"
        installed, name = self._installed(real)
        if not installed and real.startswith(self.standard):
            installed, name = "standard", real.rpartition("/python")[2].partition("/")[2]
        kind = "app" if real.startswith(self.app_dir) else "library"
        if real.startswith(self.ours) or name.startswith(MACHINERY):
            kind = self.borders.get(real, "machinery")
        elif installed == "standard":
            kind = "standard"
        elif installed:
            kind = "dispatcher" if name.startswith(DISPATCHERS) else "library"
        return kind

    def is_own(self, path: str) -> bool:
        """Whether it is the app's own code: below `app_dir`, of its package, or elsewhere where nothing is installed.

        Templates are compiled to code that bears their names, not their lines.
        """
        kind = self.kind(path)
        is_apps = kind == "app"
        if kind == "library":
            installed, name = self._installed(self.real(path))
            is_apps = not installed or name.startswith(self.package)
        return is_apps and path.endswith(".py")

    def shown(self, path: str) -> str:
        """The path from the app's folder, or from that of installed packages, on."""
        real = self.real(path)
        installed, name = self._installed(real)
        return name if installed else os.path.relpath(real, self.app_dir)

    def _installed(self, real: str) -> tuple[str, str]:
        """The folder of installed packages that a file lies in, and its path from there; empty: in none."""
        for name in ("site-packages", "dist-packages"):
            if f"/{name}/" in real:
                return name, real.rpartition(f"/{name}/")[2]
        folder = next((each for each in self.installations if real.startswith(each)), "")
        return folder, real[len(folder) :] if folder else ""

    def spot(self, stack: Stack) -> Spot | None:
        """The line to blame for the work of the innermost frame: the app's own if there is one, else a library's.

        Generated code (`<string>`) is passed over: the line to blame is the one that called it.
        """
        above: Frame | None = None
        fallback: tuple[Frame, Frame | None] | None = None
        plain: tuple[Frame, Frame | None] | None = None
        for depth, frame in enumerate(stack):
            kind = self.kind(frame.code.co_filename)
            if kind == "own":
                return None  # it describes its process
            if kind == "border":
                break
            if kind == "app":
                return self._spot(frame, above, is_app=True)._replace(site=self._site(stack[depth:]))
            if kind == "library" and (fallback is None or fallback[0].code is frame.code):
                # The outermost of a recursion: one line instead of as many as it is deep.
                fallback = frame, above
            if kind == "standard" and plain is None:
                plain = frame, above
            if kind == "dispatcher":
                fallback = fallback or (frame, above)
                break
            if kind != "machinery" or above is not None:
                above = frame
        chosen = fallback or plain
        return chosen and self._spot(*chosen, is_app=False)

    def _spot(self, frame: Frame, above: Frame | None, *, is_app: bool) -> Spot:
        callee = None
        if above is not None:
            callee = f"{above.module}.{name_of(above.code)}"
        path, columns = self._where(frame)
        return Spot(path, frame.line, is_app, columns, callee, name_of(frame.code))

    def _site(self, stack: Stack) -> Site | None:
        """The innermost `async def` of the app, of those that the request has reached since it was dispatched."""
        for frame in stack:
            kind = self.kind(frame.code.co_filename)
            if kind in {"border", "dispatcher"}:
                break
            if kind == "app" and frame.code.co_flags & ASYNCHRONOUS:
                path, columns = self._where(frame)
                return Site(path, frame.line, columns, name_of(frame.code))
        return None

    def _where(self, frame: Frame) -> tuple[str, tuple[int, int, int, int] | None]:
        """File and columns of what a frame executes."""
        key = (frame.code, frame.at)
        if key not in self._columns:
            self._columns[key] = columns_at(*key)
        name = frame.code.co_filename
        if name not in self._reals:
            self._reals[name] = self.real(name)
        return self._reals[name], self._columns[key]


def _has_packages(folder: str) -> bool:
    """Whether packages were installed there, as by `pip install --target`."""
    try:
        return any(name.endswith(".dist-info") for name in os.listdir(folder))
    except OSError:
        return False  # a zip file, or a folder that isn't there


def stack_of(frame: FrameType | None) -> Stack:
    """Copy a stack without releasing the GIL, so that the loop's thread can't run on meanwhile."""
    copied = []
    while frame is not None:
        name = frame.f_globals.get("__name__", "?")
        copied.append(Frame(frame.f_code, frame.f_lasti, line_of(frame.f_code, frame.f_lasti, frame.f_lineno), name))
        frame = frame.f_back
    return copied


def name_of(code: CodeType) -> str:
    """A function's name, before Python 3.11 without that of its class."""
    return str(getattr(code, "co_qualname", code.co_name))


def line_of(code: CodeType, at: int, line: int | None) -> int:
    """The line of an instruction; of one that the compiler gave none (f_lineno is None), the last line before it."""
    if line is not None:
        return line
    before = [number for start, _, number in code.co_lines() if number is not None and start <= at]
    return before[-1] if before else code.co_firstlineno


def columns_at(code: CodeType, at: int) -> tuple[int, int, int, int] | None:
    """First line, last line, first column, column after the last of an instruction's expression; None before 3.11."""
    positions = getattr(code, "co_positions", None)
    if positions is None or at < 0:
        return None
    found = list(positions())[at // 2]
    first, last, start, end = found
    return None if None in found else (first, last, start, end)
