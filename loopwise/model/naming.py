"""Names of cases: ids for folders and scripts, and words for people, which name what tells a case from its rivals."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from loopwise.model.factors import case_factors, is_moded
from loopwise.model.modes import AS_WRITTEN, OWN, mode_named
from loopwise.model.suite import Case, Server

MAX_LENGTH = 100
"""Of an id; leaves room below the 255 bytes of a file name and the 260 characters of a Windows path."""
HASH_DIGITS = 6
NO_NAMES: Mapping[str, str] = MappingProxyType({})
"""Names of cases by case_id (`shown_names`), where ids are shown as they are."""


class Option(NamedTuple):
    """How an option of the server is named."""

    tag: str
    """Stands before its value in ids, which name it only where it was set."""
    words: str
    unset: str
    """Where another case sets it and this one does not."""

    def say(self, value: Any) -> str:
        """Words for a value that was set."""
        words = self.words.format(value)
        return words.removesuffix("s") if value == 1 and words.endswith(" threads") else words


OPTIONS: dict[str, Option] = {
    "loop": Option("", "loop {}", "loop auto"),
    "http": Option("", "parser {}", "parser auto"),
    "threads": Option("t", "{} threads", "default threads"),
    "pool_processes": Option("pool", "pool of {}", "default pool"),
    "limit_concurrency": Option("limit", "limit {}", "no limit"),
    "backlog": Option("backlog", "backlog {}", "default backlog"),
    "port": Option("port", "port {}", "any port"),
    "access_log": Option("", "access log", "no access log"),
    "timeouts": Option("", "{} timeouts", "no timeouts"),
    "interface": Option("", "as {}", "as asgi"),
    "server_args": Option("", "with {}", "no more options"),
}
"""By suite key. `probe` and `startup_timeout_s` are no options of the server itself."""

DIFFERENCE_TAGS = {
    "warmup_s": "warmup",
    "warmup_max_s": "warmupmax",
    "measure_s": "measure",
    "timeout_s": "timeout",
    "max_connections": "conn",
    "script_errors_allowed": "scripterrors",
    "victim": "victim-",
    "startup_timeout_s": "startup",
    "probe": "probe-",
    "dependencies": "dependencies-",
    "env_file": "",
    "cwd": "cwd-",
    "app": "",
    "url": "",
    "options": "",
}
"""Factor -> what stands before its value; in an id only where cases would have the same id without it."""


def assign_ids(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Give each case its `case_id`; of exact duplicates only the first stays.

    An id looks like `sleep-ms50-async-w1-uvicorn-u100`. It depends on the other cases only where two would get
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
    return tuple(case.model_copy(update={"case_id": case_id}) for case, case_id in zip(distinct, ids, strict=True))


Refinement = Callable[[Case, str, list[Case]], str]


def _refine(cases: list[Case], ids: list[str], refinement: Callable[[Case, str, list[Case]], str]) -> list[str]:
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
    own = {key: f"{_slug(key.partition('.')[2])}-" for key in factors if key.startswith(("env.", "factory_args."))}
    tags = [
        f"{tag}{_slug(Path(factors[key]).name if key in {'cwd', 'env_file'} else factors[key])}"
        for key, tag in {**DIFFERENCE_TAGS, **own}.items()
        if factors[key] is not None and any(other.get(key) != factors[key] for other in others)
    ]
    longer = "-".join([case_id, *tags])
    return longer if len(longer) <= MAX_LENGTH else case_id


def _with_hash(digits: int) -> Refinement:
    return lambda case, case_id, _group: _hashed(case_id, _fingerprint(case), digits)


def _base_id(case: Case) -> str:
    """The id as far as it follows from the case alone."""
    subject = [case.workload, *(f"{name}{_slug(value)}" for name, value in sorted(case.params.items()))]
    head = _slug("-".join([_slug(part, dots=index > 0) for index, part in enumerate(subject)]))
    case_id = "-".join([head or "case", *_tail(case)])
    if len(case_id) > MAX_LENGTH or _loses(case):
        # Without paths: the same suite gives the same ids on every machine.
        lost = json.dumps([case.workload, case.params, case.mode, case_id], sort_keys=True)
        return _hashed(case_id, lost, HASH_DIGITS, head=head)
    return case_id


def _tail(case: Case) -> list[str]:
    """Mode, server, load and the options that were set."""
    load, server = case.load, case.server
    parts = [_slug(case.mode), *([_slug(case.features)] if case.features else [])]
    parts += [_slug(f"patch-{Path(case.patch.name).stem}")] if case.patch else []
    parts += [f"w{server.workers}", server.name] if server else ["url"]
    if load.model == "closed":
        file, _, shape = (load.shape or "").rpartition(":")
        parts += [_slug(f"shape-{Path(file).stem}-{shape}") if shape else f"u{load.users}"]
        parts += [f"think{_slug(load.think_s)}"] if load.think_s else []
    else:
        parts += [f"r{_slug(load.rate_rps)}", *(["constant"] if load.arrivals == "constant" else [])]
        parts += [f"to{_slug(load.ramp_to_rps)}"] if load.ramp_to_rps is not None else []
        parts += [f"steps{load.steps}"] if load.steps is not None else []
    return [*parts, *(f"{OPTIONS[key].tag}{_slug(value)}" for key, value in _options_set(server).items())]


def _hashed(case_id: str, text: str, digits: int, head: str = "") -> str:
    """The id with a hash of the text at its end; to fit, its head is cut, which the hash stands for."""
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
    """Everything about the case but its id and its expected cost."""
    return json.dumps(case.model_dump(mode="json", exclude={"case_id", "cost"}), sort_keys=True)


def _option_set(server: Server, key: str) -> Any:
    """An option as names have it; None where it is not set."""
    value = getattr(server, key)
    if value in (None, "auto", False, (), "asgi"):
        return None
    return {"access_log": "accesslog", "server_args": " ".join(server.server_args)}.get(key, value)


def _options_set(server: Server | None) -> dict[str, Any]:
    values = {key: _option_set(server, key) for key in OPTIONS} if server else {}
    return {key: value for key, value in values.items() if value is not None}


def _option(key: str) -> Callable[[Case], str]:
    option = OPTIONS[key]

    def say(case: Case) -> str:
        value = _option_set(case.server, key) if case.server else None
        if value is None and key == "pool_processes" and case.app is not None:
            return ""  # an app has a pool in one mode only
        return option.unset if value is None else option.say(value)

    return say


def app_name(case: Case) -> str:
    """An app and the folder it lies in: `shop:app in checkout`; empty for target_app and for a URL."""
    return f"{case.app.target} in {Path(case.app.app_dir).name}" if case.app else ""


def patch_words(case: Case) -> str:
    """`with fix.diff`, or `unpatched`; empty where there is no app to patch."""
    if case.patch is not None:
        return f"with {Path(case.patch.name).name}"
    return "unpatched" if case.app else ""


def _listed(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


VARIANTS: dict[str, Callable[[Case], str]] = {
    "features": lambda case: f"with {case.features}" if case.features else "plain",
    "dependencies": lambda case: "with its dependencies" if case.dependencies == "same" else "",
    "patch": patch_words,
    "app": app_name,
    "python": lambda case: f"by {case.app.python}" if case.app else "",
    "cwd": lambda case: f"in {Path(case.app.cwd).name}" if case.app and case.app.cwd else "",
    "factory_args": lambda case: _assigned(case.app.factory_args) if case.app else "",
    "scenario": lambda case: f"as {Path(case.scenario).name}" if case.scenario else "",
    "options": lambda case: ", ".join(f"{name} {_listed(value)}" for name, value in sorted(case.options.items())),
    **{key: _option(key) for key in OPTIONS if key != "port"},
    "probe": lambda case: "" if case.server is None or case.server.probe else "no probe",
    "env": lambda case: _assigned(case.server.env) if case.server else "",
    "env_file": lambda case: f"with {Path(case.server.env_file).name}" if case.server and case.server.env_file else "",
}
"""Factors beside subject, mode, workers, server and load, in the words that name a case where rivals differ in them."""


def _assigned(values: Mapping[str, Any]) -> str:
    """`OMP_NUM_THREADS=4, POOL=10`."""
    return ", ".join(f"{name}={value}" for name, value in sorted(values.items()))


def variant(case: Case, rivals: Collection[Case]) -> str:
    """The factors in VARIANTS that tell a case from its rivals: `with response_model, 100 threads`, or nothing."""
    return _said(case, _telling(rivals))


def variants(cases: Collection[Case]) -> dict[str, str]:
    """The variant of each case among all, by case_id."""
    telling = _telling(cases)
    return {case.case_id: _said(case, telling) for case in cases}


def _telling(rivals: Collection[Case]) -> list[Callable[[Case], str]]:
    return [say for say in VARIANTS.values() if len({say(each) for each in rivals}) > 1]


def _said(case: Case, factors: Iterable[Callable[[Case], str]]) -> str:
    return ", ".join(filter(None, (say(case) for say in factors)))


def workers_words(case: Case) -> str:
    """`2 workers`; empty where the server already runs."""
    return "" if case.workers is None else f"{case.workers} worker{'' if case.workers == 1 else 's'}"


def server_name(case: Case) -> str:
    """The server with every option that was set: `uvicorn, 100 threads`; its URL where it already runs."""
    if case.server is None:
        return case.url or "running server"
    options = _options_set(case.server)
    words = (OPTIONS[key].say(value) for key, value in options.items() if key != "port")
    return ", ".join([case.server.name, *words])


def server_names(cases: Collection[Case]) -> dict[str, str]:
    """Name of each case's server by case_id; with its app and its scenario where the suite has several."""
    several_apps = len({case.app.model_dump_json() for case in cases if case.app}) > 1
    several_scenarios = len({case.scenario for case in cases}) > 1
    parts = {
        case.case_id: (
            server_name(case),
            app_name(case) if several_apps else "",
            Path(case.scenario).name if several_scenarios and case.scenario else "",
        )
        for case in cases
    }
    return {case_id: " · ".join(filter(None, names)) for case_id, names in parts.items()}


def name_among(case: Case, rivals: Collection[Case]) -> str:
    """A case but for its workers, with all that tells it from its rivals: `sleep(ms=50) sync, 100 threads`."""
    servers = {each.server.name for each in rivals if each.server}
    words = [
        f"{case.subject} {_mode_among(case, rivals)}".strip(),
        variant(case, rivals),
        f"under {case.server.name}" if case.server and len(servers) > 1 else "",
        f"at {case.load.label}" if len({each.load.label for each in rivals}) > 1 else "",
    ]
    return ", ".join(filter(None, words))


def shown_names(cases: Collection[Case]) -> dict[str, str]:
    """A name for people of each case, by case_id: its id, or `GET /items/1, 2 workers` of an app's endpoint.

    Where words are not enough to tell two cases apart, the id stands behind them.
    """
    rivals = [case for case in cases if case.mode == OWN.name or is_moded(case)]
    words = {
        case.case_id: ", ".join(filter(None, (name_among(case, rivals), workers_words(case))))
        if case in rivals
        else case.case_id
        for case in cases
    }
    counts = Counter(words.values())
    return {case_id: name if counts[name] == 1 else f"{name} ({case_id})" for case_id, name in words.items()}


def short_name(case: Case, rivals: Collection[Case]) -> str:
    """A case among those of one subject, server and load: `sync (100 threads) with 2 workers`; unique among them."""
    name = _short(case, rivals)
    is_shared = sum(_short(each, rivals) == name for each in rivals) > 1
    return f"{name} ({case.case_id})" if is_shared else name


def _short(case: Case, rivals: Collection[Case]) -> str:
    is_lone = case.mode == OWN.name and not has_modes(case, rivals)
    mode, note = _written(case) if has_modes(case, rivals) else _mode(case), variant(case, rivals)
    name = f"{mode} ({note})" if note else mode
    has_workers = case.workers is not None and (is_lone or len({each.workers for each in rivals}) > 1)
    return f"{name} with {workers_words(case)}" if has_workers else name


def has_modes(case: Case, rivals: Iterable[Case]) -> bool:
    """Whether an app's endpoint is compared with itself in another mode: then its own is named, too."""
    return any(is_moded(each) and each.subject == case.subject and each.app == case.app for each in (case, *rivals))


def mode_label(case: Case, rivals: Iterable[Case]) -> str:
    """The mode in tables and charts: `sync`; of an app `your app`, beside its other modes `as written`."""
    return AS_WRITTEN if case.mode == OWN.name and has_modes(case, rivals) else mode_named(case.mode).shown


def mode_labels(mode: str) -> tuple[str, ...]:
    """All labels that `mode_label` gives a mode."""
    return (mode_named(mode).shown, *([AS_WRITTEN] if mode == OWN.name else []))


def _mode(case: Case) -> str:
    return OWN.words if case.mode == OWN.name else case.mode


def _written(case: Case) -> str:
    return f"{OWN.words} {AS_WRITTEN}" if case.mode == OWN.name else case.mode


def _mode_among(case: Case, rivals: Iterable[Case]) -> str:
    """The mode behind a subject; empty for an app that is only measured as it is written."""
    if case.mode != OWN.name:
        return case.mode
    return AS_WRITTEN if has_modes(case, rivals) else ""


def tell_apart(first: Case, second: Case) -> tuple[str, str]:
    """Names of two cases beside each other: what differs between them, or else the mode."""
    names = _beside(first, second), _beside(second, first)
    return names if names[0] != names[1] else (first.case_id, second.case_id)


def _beside(case: Case, other: Case) -> str:
    words = [case.subject] if case.subject != other.subject else []
    if words and case.mode != other.mode:
        words.append(_mode_among(case, (other,)))
    elif not words:
        words.append(_written(case) if has_modes(case, (other,)) else _mode(case))
    if case.workers != other.workers:
        words.append(f"on {workers_words(case) or 'the running server'}")
    if case.server and other.server and case.server.name != other.server.name:
        words.append(f"under {case.server.name}")
    if case.load.label != other.load.label:
        words.append(f"at {case.load.label}")
    return " ".join(filter(None, [*words, variant(case, (case, other))]))
