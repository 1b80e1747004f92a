"""Versions of an app's Python and of the server beside it: old servers lack options."""

import os
import re
import subprocess
from collections.abc import Mapping
from functools import cache

from loopwise.errors import ServerError

MINIMUM = (3, 9)
"""Of the app's interpreter: the probe runs in it."""
ANSWER_S = 20.0
ASK = """
import sys
print("%d.%d" % sys.version_info[:2])
if sys.version_info >= (3, 8):
    from importlib.metadata import version
    print(version(sys.argv[1]))
"""


def installed_version(python: str, package: str, env: Mapping[str, str]) -> tuple[int, ...] | None:
    """The version of a package in an app's interpreter; None: it isn't there, or the interpreter doesn't tell.

    Raises:
        ServerError: the interpreter is too old.
    """
    lines = _answer(python, package, env.get("PYTHONPATH", ""))
    found = numbers(lines[0]) if lines else ()
    if found and found < MINIMUM:
        raise ServerError(
            f"{python} is Python {lines[0]}, allowed is {'.'.join(map(str, MINIMUM))} or newer; "
            "give the app an environment of a newer Python"
        )
    return numbers(lines[1]) if len(lines) > 1 else None


def numbers(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with: (0, 18, 3)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


@cache
def _answer(python: str, package: str, path: str) -> list[str]:
    try:
        asked = subprocess.run(
            [python, "-c", ASK, package],
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONPATH": path},
            timeout=ANSWER_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []  # starting the server will say why
    return asked.stdout.split()
