"""`python -m target_app describe | list | calibrate`: how the harness asks about the app from outside.

describe   reads `[{"workload": "sleep", "params": {"ms": 50}, "mode": "async", "features": ""}, …]` from
           stdin and prints, in the same order, each request's path, normalised parameters and expected cost, or
           the key that is wrong and why
list       prints all workloads, modes and features
calibrate  prints the speed of this machine: `{"cpu_iterations_per_ms": …}`

All print JSON. Exit status 2, with a sentence on stderr: unknown command, or stdin is not such a list.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from target_app.catalogue import catalogue, describe
from target_app.workloads.cpu import calibrate


def _describe_stdin() -> list[dict[str, Any]]:
    try:
        requests = json.load(sys.stdin)
    except ValueError as error:
        raise ValueError(f"describe: stdin is no JSON ({error}); give a list of requests") from error
    if not isinstance(requests, list) or not all(isinstance(request, dict) for request in requests):
        raise ValueError('describe: stdin must be a JSON list of {"workload", "params", "mode"}')
    return [describe(request) for request in requests]


COMMANDS: dict[str, Callable[[], Any]] = {
    "describe": _describe_stdin,
    "list": catalogue,
    "calibrate": lambda: {"cpu_iterations_per_ms": calibrate()},
}


def main(arguments: list[str]) -> int:
    """Print one command's answer; return the exit status."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        got = " ".join(arguments) or "nothing"
        print(f"python -m target_app: got {got}, allowed is one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        answer = COMMANDS[arguments[0]]()
    except ValueError as error:
        print(f"python -m target_app {error}", file=sys.stderr)
        return 2
    print(json.dumps(answer, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
