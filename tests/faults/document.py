"""The table of faults as docs/reliability.md."""

from collections.abc import Sequence
from itertools import groupby

from faults.fault import GROUPS, Done
from faults.fuzz import Fuzzed

HEAD = """# Reliability

Harm that is done to Loopwise on purpose, and what becomes of it. This page is made by

```
python -m tests.faults --minutes 30 --fuzz-minutes 10 --log faults.jsonl --out docs/reliability.md
```

and the log lets a later one go on with the faults that are left. Each is done to the real command, in a folder of its
own, on a tiny app: a signal when the command announces that it is in a phase, a disk that is filled then, a limit, a
suite at the end of what it may hold. It is survived if

- the exit status is one that `--help` names, and not 70, and no output has a traceback;
- an error is one sentence, which says what to do;
- no process, no held port and no temporary file is left (SIGKILL and a second Ctrl-C leave temporary files);
- `run --resume` then completes the result, every file of a run that was kept being the same as before, to the byte; a
  command that makes no result works when it is given again.

CI does four minutes of them, in the same order each time (`.ci/run`), the tests a few of them (tests/test_faults.py).
"""


def document(dones: Sequence[Done], total: int, fuzzed: Fuzzed) -> str:
    """Write the page.

    Args:
        dones: what was done.
        total: number of faults that there are.
        fuzzed: how much was fuzzed, and what was found.
    """
    days, seeds = sorted({each.day for each in dones}), sorted({each.seed for each in dones})
    when = " to ".join([*days[:1], *days[1:][-1:]])
    survived = sum(not each.problems for each in dones)
    lines = [
        HEAD,
        f"Made on {when} (seeds: {', '.join(map(str, seeds))}): {len(dones)} of the table's {total} faults were done, "
        f"{survived} survived.",
        "",
        "| kind | done | survived |",
        "|---|---|---|",
    ]
    groups = {group: [each for each in dones if each.fault.group == group] for group in GROUPS}
    for group, mine in groups.items():
        lines.append(f"| {GROUPS[group]} | {len(mine)} | {sum(not each.problems for each in mine)} |")
    lines += [
        f"| Fuzzed {name} | {count} | {count - sum(text.startswith(name) for text in fuzzed.found)} |"
        for name, count in fuzzed.tried.items()
    ]
    lines.append("")
    for group, mine in groups.items():
        if mine:
            columns = ["| done | to | holds | survived |", "|---|---|---|---|"]
            lines += [f"## {GROUPS[group]}", "", *columns, *_rows(mine), ""]
    bad = [each for each in dones if each.problems]
    if bad:
        lines += ["## Not survived", "", *(f"- {each.fault.name}: {_short(each.problems[0])}" for each in bad), ""]
    return "\n".join(lines)


def _short(problem: str) -> str:
    """The begin of a problem, in one line."""
    text = " ".join(problem.split()).replace("`", "'")
    return f"`{text[:160]}…`" if len(text) > 160 else f"`{text}`"


def _rows(dones: Sequence[Done]) -> list[str]:
    """One row for each kind."""

    def key(done: Done) -> tuple[str, str]:
        return done.fault.holds, done.fault.kind

    rows = []
    for (holds, kind), members in groupby(sorted(dones, key=key), key):
        mine = list(members)
        phases: dict[str, list[str]] = {}
        for each in sorted(mine, key=lambda done: done.fault.name):
            phases.setdefault(each.fault.command, []).append(each.fault.phase)
        places = "; ".join(
            f"`{command}`" + (f" ({', '.join(filter(None, names))})" if any(names) else "")
            for command, names in phases.items()
        )
        good = sum(not each.problems for each in mine)
        rows.append(f"| {kind} | {places} | {holds} | {good} of {len(mine)} |")
    return rows
