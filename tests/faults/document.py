"""The table of faults as docs/reliability.md."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

from faults.fault import GROUPS, Done

HEAD = """# Reliability

What is done to Loopwise on purpose, and what becomes of it. This page is made by

```
python -m tests.faults --minutes 30 --out docs/reliability.md
```

"""


def document(dones: Sequence[Done], total: int, seed: int) -> str:
    """Write the page."""
    day = datetime.now(UTC).date().isoformat()
    survived = sum(not each.problems for each in dones)
    lines = [
        f"{HEAD}Last made on {day} with seed {seed}: {len(dones)} of the table's {total} faults were done, "
        f"{survived} were survived.",
        "",
    ]
    for group, heading in GROUPS.items():
        mine = [each for each in dones if each.fault.group == group]
        if not mine:
            continue
        good = sum(not each.problems for each in mine)
        lines += [
            f"## {heading}",
            "",
            f"{good} of {len(mine)} survived.",
            "",
            "| done | to | in | holds afterwards | survived |",
            "|---|---|---|---|---|",
        ]
        lines += _rows(mine)
        lines.append("")
    return "\n".join(lines)


def _rows(dones: Sequence[Done]) -> list[str]:
    """One row for each kind and command."""

    def key(done: Done) -> tuple[str, str, str]:
        return done.fault.kind, done.fault.command, done.fault.holds

    rows = []
    for (kind, command, holds), members in groupby(sorted(dones, key=key), key):
        mine = list(members)
        phases = ", ".join(dict.fromkeys(each.fault.phase for each in mine if each.fault.phase))
        good = sum(not each.problems for each in mine)
        rows.append(f"| {kind} | `{command}` | {phases} | {holds} | {good} of {len(mine)} |")
    return rows
