"""Names of cases: readable, the same every time, and safe as a folder's name on any file system."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from loopwise.model import Case
from loopwise.model.factors import case_factors

MAX_LENGTH = 100
"""Leaves room below the 255 bytes of a file name and the 260 characters of a Windows path."""

HASH_DIGITS = 6

SERVER_TAGS = {
    "loop": "",
    "http": "",
    "threads": "t",
    "pool_processes": "pool",
    "limit_concurrency": "limit",
    "backlog": "backlog",
    "port": "port",
}
"""Server option -> what stands before its value; named only where it is not left to the server."""

DIFFERENCE_TAGS = {
    "warmup_s": "warmup",
    "warmup_max_s": "warmupmax",
    "measure_s": "measure",
    "timeout_s": "timeout",
    "max_connections": "conn",
    "victim": "victim-",
    "startup_timeout_s": "startup",
    "probe": "probe-",
    "app": "",
    "url": "",
}
"""Factor -> what stands before its value; named only where cases would have the same name without it."""


def assign_ids(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases, each with its `case_id`; exact duplicates are dropped, the first stays.

    An id looks like `sleep-ms50-async-w1-uvicorn-u100`. It depends on other cases only where two would get
    the same.
    """
    by_fingerprint: dict[str, Case] = {}
    for case in cases:
        by_fingerprint.setdefault(_fingerprint(case), case)
    distinct = list(by_fingerprint.values())
    ids = [_base_id(case) for case in distinct]
    ids = _refine(distinct, ids, _with_tags)
    for digits in (HASH_DIGITS, 32):
        ids = _refine(distinct, ids, _with_hash(digits))
    return tuple(
        case.model_copy(update={"case_id": case_id}) for case, case_id in zip(distinct, ids, strict=True)
    )


Refinement = Callable[[Case, str, list[Case]], str]


def _refine(cases: list[Case], ids: list[str], refinement: Refinement) -> list[str]:
    """Change the ids that are not unique."""
    counts = Counter(ids)
    groups: dict[str, list[Case]] = {}
    for case, case_id in zip(cases, ids, strict=True):
        groups.setdefault(case_id, []).append(case)
    return [
        refinement(case, case_id, groups[case_id]) if counts[case_id] > 1 else case_id
        for case, case_id in zip(cases, ids, strict=True)
    ]


def _with_tags(case: Case, case_id: str, group: list[Case]) -> str:
    factors, others = case_factors(case), [case_factors(other) for other in group]
    tags = [
        f"{tag}{_slug(factors[key])}"
        for key, tag in DIFFERENCE_TAGS.items()
        if factors[key] is not None and any(other[key] != factors[key] for other in others)
    ]
    longer = "-".join([case_id, *tags])
    return longer if len(longer) <= MAX_LENGTH else case_id


def _with_hash(digits: int) -> Refinement:
    def refinement(case: Case, case_id: str, _group: list[Case]) -> str:
        return _hashed(case_id, _fingerprint(case), digits)

    return refinement


def _base_id(case: Case) -> str:
    """The id as far as it follows from the case alone."""
    subject = [case.workload, *(f"{name}{_slug(value)}" for name, value in sorted(case.params.items()))]
    head = _slug("-".join([_slug(part, dots=index > 0) for index, part in enumerate(subject)]))
    case_id = "-".join([head or "case", *_tail(case)])
    if len(case_id) > MAX_LENGTH or _loses(case):
        # Only of what the name is about, without paths: the same suite gives the same ids on every machine.
        lost = json.dumps([case.workload, case.params, case.mode, case_id], sort_keys=True)
        return _hashed(case_id, lost, HASH_DIGITS, head=head)
    return case_id


def _tail(case: Case) -> list[str]:
    """Mode, server, load and the options that were given."""
    load, server = case.load, case.server
    parts = [_slug(case.mode), *([_slug(case.features)] if case.features else [])]
    parts += [f"w{server.workers}", server.name] if server else ["url"]
    if load.model == "closed":
        parts += [f"u{load.users}", *([f"think{_slug(load.think_s)}"] if load.think_s else [])]
    else:
        parts += [f"r{_slug(load.rate_rps)}", *(["constant"] if load.arrivals == "constant" else [])]
        parts += [f"to{_slug(load.ramp_to_rps)}"] if load.ramp_to_rps is not None else []
        parts += [f"steps{load.steps}"] if load.steps is not None else []
    if server:
        options = {key: getattr(server, key) for key in SERVER_TAGS}
        parts += [
            f"{SERVER_TAGS[key]}{value}" for key, value in options.items() if value not in (None, "auto")
        ]
    return parts


def _hashed(case_id: str, text: str, digits: int, head: str = "") -> str:
    """The id with a hash behind it; where it must be shorter, its head is cut, for which the hash stands."""
    room = MAX_LENGTH - digits - 1
    excess = max(0, len(case_id) - room)
    keep = max(1, len(head) - excess)
    shorter = (case_id[:keep] + case_id[len(head) :] if head else case_id)[:room]
    return f"{shorter.strip('-.')}-{hashlib.sha256(text.encode()).hexdigest()[:digits]}"


def _slug(value: Any, *, dots: bool = True) -> str:
    """Lower-case letters, digits and single dashes; dots between digits stay, for numbers."""
    text = f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
    dotless = re.sub(r"(?<!\d)\.|\.(?!\d)" if dots else r"\.", "-", text.lower())
    return re.sub(r"[^a-z0-9.]+", "-", dotless).strip("-.")


def _loses(case: Case) -> bool:
    """Whether names or values hold characters that a slug drops and that are no mere separators."""
    texts = [case.workload, case.mode, *case.params, *map(str, case.params.values())]
    return any(re.search(r"[^A-Za-z0-9 /?=&_.,:+{}-]", text) for text in texts)


def _fingerprint(case: Case) -> str:
    """Everything about the case but its name and its expected cost."""
    return json.dumps(case.model_dump(mode="json", exclude={"case_id", "cost"}), sort_keys=True)
