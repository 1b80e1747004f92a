"""Variables of the environment that would change what is measured: which servers don't get, and which are recorded."""

from collections.abc import Container, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

Treatment = Literal["removed", "told", "recorded"]


class Rule(NamedTuple):
    """What becomes of the variables of a pattern that Loopwise inherits."""

    pattern: str
    """As of files: `OMP_*`."""
    treatment: Treatment
    """`removed`: servers don't get them. The others they get, and run.json says so. `told`: runs are flagged besides,
    and the load generator does without them."""
    why: str


RULES = (
    Rule("WEB_CONCURRENCY", "removed", "uvicorn and gunicorn start as many workers"),
    Rule("UVICORN_*", "removed", "options of uvicorn that the suite does not have"),
    Rule("GUNICORN_CMD_ARGS", "removed", "options of gunicorn that the suite does not have"),
    Rule("GRANIAN_*", "removed", "options of granian that the suite does not have"),
    Rule("HYPERCORN*", "removed", "options of hypercorn that the suite does not have"),
    Rule("PYTHONASYNCIODEBUG", "told", "asyncio checks and times every callback"),
    Rule("PYTHONDEVMODE", "told", "Python checks memory, warnings and asyncio"),
    Rule("PYTHONTRACEMALLOC", "told", "Python keeps a traceback of every allocation"),
    Rule("PYTHONMALLOC", "told", "another allocator, or one that checks memory"),
    Rule("PYTHONOPTIMIZE", "recorded", "assertions are left out"),
    Rule("PYTHON_GIL", "recorded", "threads compute at once, or don't"),
    Rule("PYTHON_JIT", "recorded", "code is compiled, or isn't"),
    Rule("PYTHON_CPU_COUNT", "recorded", "libraries size their pools by it"),
    Rule("LD_PRELOAD", "recorded", "libraries that replace others, such as allocators"),
    Rule("GLIBC_TUNABLES", "recorded", "settings of the C library's allocator"),
    Rule("MALLOC_*", "recorded", "settings of allocators"),
    Rule("OMP_*", "recorded", "threads of OpenMP"),
    Rule("MKL_*", "recorded", "threads of MKL"),
    Rule("OPENBLAS_*", "recorded", "threads of OpenBLAS"),
)


def treatment_of(name: str) -> Treatment | None:
    """What becomes of an inherited variable; None: nothing, servers get it."""
    return next((rule.treatment for rule in RULES if fnmatchcase(name, rule.pattern)), None)


def named(names: Iterable[str], treatment: Treatment) -> list[str]:
    """Those of the variables that are treated so, in order."""
    return sorted(name for name in names if treatment_of(name) == treatment)


def without(environ: Mapping[str, str], treatment: Treatment) -> dict[str, str]:
    """The environment without the variables that are treated so."""
    return {name: value for name, value in environ.items() if treatment_of(name) != treatment}


def recorded(environ: Mapping[str, str], own: Container[str]) -> dict[str, str]:
    """Variables of a server that move its numbers; an empty one does nothing.

    Args:
        environ: all variables of the server.
        own: names that the case has in its `env`, which says them already.
    """
    wanted = [*named(environ, "told"), *named(environ, "recorded")]
    return {name: environ[name] for name in sorted(wanted) if environ[name] and name not in own}


def notes(environ: Mapping[str, str]) -> list[str]:
    """Sentences on variables of this process that servers don't get, and on those that make them slower."""
    found = []
    if removed := named(environ, "removed"):
        found.append(
            f"servers don't get {', '.join(removed)}, which would overrule the suite; set in env what you want"
        )
    if slow := [name for name in named(environ, "told") if environ[name]]:
        found.append(
            f"servers run with {', '.join(slow)}, which may make them slower, and runs are flagged; unset it to "
            "measure what is deployed"
        )
    return found
