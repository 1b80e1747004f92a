"""Import hook: an app's modules from edited text in memory, under the names of their files. Standard library only.

`install` changes the loaders of source files themselves, for finders of other tools go before any finder of ours.
Whatever compiles a module by their `get_code`, as those of beartype and typeguard do, compiles the edited text. No
bytecode of it is read or written. The folder holds, for each file, its text and a line of manifest.json:

path     real path of the file
shown    the path for people
sha256   of the file that the edit was made from; null: there was none
text     name of the edited text in the folder
patch    name of the patch

A file that was imported leaves a mark there, `TEXT.imported`. The harness is told by a line on stderr what went wrong
(REFUSED).
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

REFUSED = "loopwise_patches: "
"""Begins the line on stderr that says why the app can't be measured with its patch (loopwise/servers/variants.py)."""
MANIFEST = "manifest.json"
IMPORTED = ".imported"
SHOWS_SOURCE_BY_MODULE = (3, 13)
"""From this version on, an uncaught exception is shown by the module traceback, not from the file."""


class PatchedImportError(ImportError):
    """The edited text must not be used."""


class PatchedFile:
    """A file of the app, and the text that is compiled instead of its own."""

    def __init__(self, folder: Path, *, path: str, shown: str, sha256: str | None, text: str, patch: str) -> None:
        self.path, self.shown, self.sha256, self.patch = path, shown, sha256, patch
        self.data = (folder / text).read_bytes()
        self._mark = folder / f"{text}{IMPORTED}"
        self._was_told = False

    def refuse_other(self) -> None:
        """Refuse the edit of a file that has changed since.

        Raises:
            PatchedImportError: it is not the one that the edit was made from.
        """
        try:
            found = hashlib.sha256(Path(self.path).read_bytes()).hexdigest()
        except FileNotFoundError:
            found = None
        if found != self.sha256:
            is_there = "is not the file that" if found else "is missing, which"
            reason = (
                "there is such a file by now" if self.sha256 is None else f"it {is_there} {self.patch} was made from"
            )
            self.tell(f"{self.shown}: {reason}; make the patch anew")
            raise PatchedImportError(f"{self.shown}: {reason}")

    def tell(self, sentence: str) -> None:
        """Tell the harness; once, for the imports that fail with this one say no more."""
        if not self._was_told:
            self._was_told = True
            # One system call: lines of several workers don't mix.
            os.write(2, f"{REFUSED}{' '.join(sentence.split())}\n".encode(errors="replace"))

    def tell_raised(self, error: BaseException, line: int | None) -> None:
        """Tell that the edited text can't be compiled or run."""
        place = self.shown if line is None else f"{self.shown}:{line}"
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        what = "can't be compiled" if isinstance(error, SyntaxError) else "can't be imported"
        self.tell(f"{place}: with {self.patch} it {what}: {type(error).__name__}: {said}".rstrip(": ") + "; correct it")

    def mark(self) -> None:
        """Leave a sign that the edited text has been run."""
        if not self._mark.exists():
            self._mark.touch()

    def lines(self) -> list[str]:
        """Return the edited text as `linecache` holds it."""
        try:
            lines = importlib.util.decode_source(self.data).splitlines(keepends=True)
        except (SyntaxError, UnicodeDecodeError):
            return []
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        return lines


class Patches:
    """The edited files, by their real paths."""

    def __init__(self, files: Iterable[PatchedFile]) -> None:
        self.by_path = {each.path: each for each in files}
        self._ends = tuple(f"{os.sep}{Path(path).name}" for path in self.by_path)
        self._shows_lines = False

    def at(self, path: Any) -> PatchedFile | None:
        """Return the edit of the file at a path, by whatever links it leads there; None: it is served as written."""
        if not isinstance(path, str):
            return None
        # Every import comes here, so a path is resolved only where it may lead to one of them.
        if not path.endswith(self._ends) and not Path(path).is_symlink():
            return None
        return self.by_path.get(os.path.realpath(path))

    def show_lines(self) -> None:
        """Let tracebacks and `inspect.getsource` show the edited text, however often their cache is cleared."""
        import linecache  # not every process of the app needs it

        if self._shows_lines:
            return
        self._shows_lines = True
        original = linecache.updatecache

        def updatecache(filename: Any, module_globals: Any = None) -> Any:
            file = self.at(filename)
            if file is None:
                return original(filename, module_globals)
            lines = file.lines()
            linecache.cache[filename] = (len(file.data), None, lines, filename)  # None: never compared with the disk
            return lines

        linecache.updatecache = updatecache

    @property
    def added(self) -> dict[str, PatchedFile]:
        """Those of which there is no file."""
        return {path: each for path, each in self.by_path.items() if each.sha256 is None}


class AddedFinder:
    """Finds modules of which there is no file, at the place on the path that a file would have."""

    def __init__(self, patches: Patches) -> None:
        self._patches = patches
        self._added = patches.added
        self._names = set(map(_module_name, self._added))

    def find_spec(self, fullname: str, path: Sequence[str] | None, _target: Any = None) -> Any:
        """Find an added module or package, unless a folder earlier on the path has one of that name."""
        name = fullname.rpartition(".")[2]
        if name not in self._names or (path is None and name in sys.builtin_module_names):
            return None
        for folder in sys.path if path is None else path:
            base = Path(folder or os.curdir).absolute() / name
            for file, inner in ((base / "__init__.py", [str(base)]), (base.with_name(f"{name}.py"), None)):
                if os.path.realpath(file) in self._added:
                    loader = importlib.machinery.SourceFileLoader(fullname, str(file))
                    return importlib.util.spec_from_file_location(
                        fullname, str(file), loader=loader, submodule_search_locations=inner
                    )
            spec = importlib.machinery.PathFinder.find_spec(fullname, [folder])
            if spec is not None and spec.loader is not None:
                return None
        return None


def _module_name(path: str) -> str:
    file = Path(path)
    return file.parent.name if file.stem == "__init__" else file.stem


def install(folder: str) -> Patches:
    """Compile the edited texts in a folder wherever this process, or one forked from it, imports their modules."""
    root = Path(folder)
    manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    patches = Patches(PatchedFile(root, **each) for each in manifest)
    loader = importlib.machinery.SourceFileLoader
    _wrap(_owner(loader, "get_code"), "get_code", _get_code(patches))
    _wrap(_owner(loader, "get_data"), "get_data", _get_data(patches))
    _wrap(_owner(loader, "exec_module"), "exec_module", _exec_module(patches))
    if patches.added:
        sys.meta_path.insert(0, AddedFinder(patches))
    if sys.version_info < SHOWS_SOURCE_BY_MODULE and sys.excepthook is sys.__excepthook__:
        sys.excepthook = _show_exception
    return patches


def _owner(kind: type, name: str) -> Any:
    """Return the class that a method is inherited from: loaders of other tools inherit it there, too."""
    return next(base for base in kind.__mro__ if name in vars(base))


def _wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return wrapper(original, self, *args, **kwargs)

    wrapped.__name__, wrapped.__qualname__, wrapped.__doc__ = name, original.__qualname__, original.__doc__
    setattr(owner, name, wrapped)


def _get_code(patches: Patches) -> Callable[..., Any]:
    def get_code(original: Any, loader: Any, fullname: str) -> Any:
        path = loader.get_filename(fullname)
        file = patches.at(path)
        if file is None:
            return original(loader, fullname)
        file.refuse_other()
        patches.show_lines()
        try:
            return loader.source_to_code(file.data, path)
        except (SyntaxError, ValueError) as error:
            file.tell_raised(error, getattr(error, "lineno", None))
            raise

    return get_code


def _get_data(patches: Patches) -> Callable[..., Any]:
    def get_data(original: Any, loader: Any, path: Any) -> Any:
        file = patches.at(path)
        return original(loader, path) if file is None else file.data

    return get_data


def _exec_module(patches: Patches) -> Callable[..., Any]:
    def exec_module(original: Any, loader: Any, module: Any) -> None:
        file = patches.at(getattr(module.__spec__, "origin", None))
        if file is None:
            original(loader, module)
            return
        try:
            original(loader, module)
        except (Exception, SystemExit) as error:
            file.tell_raised(error, _line_in(error, file, patches))
            raise
        file.mark()

    return exec_module


def _line_in(error: BaseException, file: PatchedFile, patches: Patches) -> int | None:
    """Return the innermost line of the file that an exception came through."""
    line, place = None, error.__traceback__
    while place is not None:
        if patches.at(place.tb_frame.f_code.co_filename) is file:
            line = place.tb_lineno
        place = place.tb_next
    return line


def _show_exception(kind: Any, error: Any, place: Any) -> None:
    """Show an uncaught exception with the lines that were run, not with those of the file."""
    import traceback  # it is needed at the end of a process alone

    traceback.print_exception(kind, error, place)
