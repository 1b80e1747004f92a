"""Load a Locust file as `locust -f` does: its user classes, its load shape, and sentences for what can't be used."""

import contextlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from locust.util.load_locustfile import is_shape_class, is_user_class

from loopwise.errors import GeneratorError


class Script(NamedTuple):
    """The contents of a Locust file."""

    path: Path
    user_classes: list[Any]
    shape: Any
    """An instance of its LoadTestShape, or None."""


def load_script(path: Path) -> Script:
    """Execute a Locust file.

    Raises:
        GeneratorError: the file can't be loaded, has no user class, several of one name, or several shapes.
    """
    with refusing(path, "the Locust file cannot be loaded"):
        module = _execute(path)
    user_classes = _distinct(is_user_class, module)
    if not user_classes:
        raise GeneratorError(
            f"{path.name}: the Locust file has no user class; give it an HttpUser, FastHttpUser or User with tasks"
        )
    names = [user_class.__name__ for user_class in user_classes]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise GeneratorError(f"{path.name}: the Locust file has several user classes named {double}; rename one")
    shapes = _distinct(is_shape_class, module)
    if len(shapes) > 1:
        found = " and ".join(shape.__name__ for shape in shapes)
        raise GeneratorError(
            f"{path.name}: the Locust file has the load shapes {found}; keep one, or set abstract = True"
        )
    with refusing(path, "its load shape cannot be made"):
        shape = shapes[0]() if shapes else None
    return Script(path, user_classes, shape)


def load_shape(path: Path, name: str) -> Any:
    """An instance of a file's load shape.

    Raises:
        GeneratorError: the file can't be loaded, or the class is none of its load shapes.
    """
    with refusing(path, "the load shape cannot be loaded"):
        module = _execute(path)
    shapes = {shape.__name__: shape for shape in _distinct(is_shape_class, module)}
    if name not in shapes:
        has = " and ".join(shapes) or "none"
        raise GeneratorError(f"{path.name}: {name} is no LoadTestShape of the file, which has {has}; correct the name")
    with refusing(path, f"the load shape {name} cannot be made"):
        return shapes[name]()


@contextlib.contextmanager
def refusing(path: Path, trouble: str) -> Iterator[None]:
    """Raise what the code of a file raises as one sentence; its traceback goes to the log.

    Raises:
        GeneratorError: with the line of the file, or of a file beside it.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, GeneratorError):
            raise
        traceback.print_exc()
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise GeneratorError(
            f"{path.name}: {trouble} ({reason}{_place(error, path)}){_hint(error, path)}; correct it"
        ) from error


def innermost_line(trace: TracebackType | None, folder: Path) -> tuple[Path, int] | None:
    """Where a traceback last passes through a script's folder, its helpers' included; None: nowhere.

    Args:
        trace: of an exception.
        folder: the script's, without links.

    Returns:
        File relative to the folder, and line.
    """
    for frame in reversed(traceback.extract_tb(trace)):
        path = Path(frame.filename)
        path = path.parent.resolve() / path.name  # the script may itself be a link
        if path.is_relative_to(folder) and "site-packages" not in path.parts:
            return path.relative_to(folder), frame.lineno or 0
    return None


def _place(error: BaseException, path: Path) -> str:
    """`, line 7` of the file, or `, line 7 of helper.py`; a SyntaxError names its line itself."""
    found = innermost_line(error.__traceback__, path.parent.resolve())
    if found is None or isinstance(error, SyntaxError):
        return ""
    file, line = found
    return f", line {line}" + ("" if file.name == path.name else f" of {file}")


def _hint(error: BaseException, path: Path) -> str:
    if isinstance(error, FileNotFoundError):
        return f"; relative paths start from the working directory {Path.cwd()}"
    if isinstance(error, ImportError | AttributeError):
        for each in sorted(path.parent.glob("*.py")):
            if each != path and each.stem in sys.stdlib_module_names and f"'{each.stem}'" in str(error):
                return f"; {each.name} beside it is named like a module of Python: rename it"
    return ""


def _execute(path: Path) -> ModuleType:
    """Execute a file as a module, with its folder and the working directory first on the import path.

    Later both are last: imports inside its functions still find its helpers, and none of them can pass for a module
    that Python, Locust or Loopwise imports late.
    """
    stem = path.stem
    if stem in sys.stdlib_module_names:
        with contextlib.suppress(ImportError):  # of another platform
            importlib.import_module(stem)  # or else the file would be taken for it
    name = f"locustfile_{stem}" if stem in sys.modules else stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folders = [str(path.parent), str(Path.cwd())]
    sys.path[:0] = folders
    try:
        spec.loader.exec_module(module)
    finally:
        for folder in filter(sys.path.__contains__, folders):
            sys.path.remove(folder)
        sys.path += folders
    return module


def _distinct(is_wanted: Any, module: ModuleType) -> list[Any]:
    """The classes of a module that are wanted, each once, whatever the number of its names."""
    return list(dict.fromkeys(filter(is_wanted, filter(inspect.isclass, vars(module).values()))))
