"""Endpoints and journeys of an entry: their files and feeds, and the names that fill them."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from loopwise.errors import DataError
from loopwise.model import Case, Content, Endpoint, ExpectBody, Feed, Load
from loopwise.servers.feeds import FORMATS, dealt, rows_of
from loopwise.servers.files import hash_of, read_bytes
from loopwise.servers.templates import as_text, names_in, texts_of
from loopwise.servers.wire import value_fault
from loopwise.suite.file import Key, Source, shown, suggestion
from loopwise.suite.locations import existing_file
from loopwise.suite.schema import ContentTable, EndpointTable, FeedTable, StepTable, given

T = TypeVar("T")

BODIES = {"json_body": "json", "body": "body", "form": "form", "files": "files"}
"""Field that makes a body -> its key; `form` beside `files` makes one together with them."""
DEVIATIONS = 5
"""A Poisson schedule has fewer arrivals than expected by so many standard deviations once in millions of runs."""


def endpoint_of(
    table: EndpointTable, key: Key, source: Source, *, weight: int = 1, step: int | None = None
) -> Endpoint:
    """An endpoint with its files found and its feed read; names are validated by `refuse_names`.

    Raises:
        SuiteError: keys that don't go together, or a file that can't be used.
    """
    written = [name for name in BODIES if getattr(table, name) is not None]
    if len(written) > 1 and written != ["form", "files"]:
        raise source.error(
            (*key, BODIES[written[1]]),
            f"can't be combined with {BODIES[written[0]]}: a request has one body; remove one of them",
        )
    if table.body is not None and table.body.name is not None:
        raise source.error((*key, "body", "name"), "is sent with a file of a form; remove it, or use files")
    fields: dict[str, Any] = {name: getattr(table, name) for name in type(table).model_fields}
    if table.body is not None:
        fields["body"] = _content(table.body, (*key, "body"), source)
    if table.files is not None:
        fields["files"] = {name: _content(each, (*key, "files", name), source) for name, each in table.files.items()}
    if table.feed is not None:
        fields["feed"] = _feed(table.feed, (*key, "feed"), source)
    if table.expect_body is not None:
        fields["expect_body"] = _expected(given(table.expect_body), (*key, "expect_body"), source)
    return Endpoint(**fields, weight=weight, step=step)


def journey_of(tables: Sequence[StepTable], key: Key, source: Source) -> tuple[Endpoint, ...]:
    """The steps of a journey, whose names are filled by feeds and captures of the steps before.

    Raises:
        SuiteError: as in `endpoint_of`; or a name that nothing fills.
    """
    steps = tuple(endpoint_of(table, (*key, at), source, step=at + 1) for at, table in enumerate(tables))
    if all(step.once for step in steps):
        raise source.error(key, "has nothing to repeat: every step is marked once; leave it out of one")
    known: dict[str, str] = {}
    for at, step in enumerate(steps):
        known |= _columns(step)
        refuse_names(step, (*key, at), source, known, later=[name for each in steps[at:] for name in each.capture])
        known |= dict.fromkeys(step.capture, f"captured by step {at + 1}")
        _refuse_idle_feed(steps[at:], (*key, at), source)
    return steps


def lone_endpoint(table: EndpointTable, key: Key, source: Source, *, weight: int = 1) -> Endpoint:
    """An endpoint that is no step of a journey: only its feed fills names.

    Raises:
        SuiteError: as in `endpoint_of`; or a name that nothing fills.
    """
    endpoint = endpoint_of(table, key, source, weight=weight)
    refuse_names(endpoint, key, source, _columns(endpoint))
    _refuse_idle_feed([endpoint], key, source)
    return endpoint


def _columns(endpoint: Endpoint) -> dict[str, str]:
    """Columns of the endpoint's feed, each with where it comes from."""
    feed = endpoint.feed
    return dict.fromkeys(rows_of(feed).columns, f"a column of {Path(feed.file).name}") if feed else {}


def refuse_names(
    endpoint: Endpoint, key: Key, source: Source, known: Mapping[str, str], later: Collection[str] = ()
) -> None:
    """Refuse a `{name}` that nothing fills, and values that a header can't have.

    Args:
        endpoint: has the names.
        key: of the endpoint.
        source: of the suite.
        known: name -> where its values come from.
        later: names that this or a later step captures.

    Raises:
        SuiteError: the key and the name, or the feed's line.
    """
    reads_body = endpoint.expect_body is not None or endpoint.capture
    encoded = next((name for name in endpoint.headers if name.lower() == "accept-encoding"), None)
    if reads_body and encoded:
        raise source.error((*key, "headers", encoded), "asks for an encoded body, which can't be read; remove it")
    for place, text in texts_of(endpoint):
        if not endpoint.is_filled and place != ("path",):
            continue
        for name in names_in(text):
            if name not in known:
                raise source.error((*key, *place), _unknown(name, endpoint, known, later))
            if place[0] == "headers":
                _refuse_header_values(endpoint, name, (*key, *place), source)


def _unknown(name: str, endpoint: Endpoint, known: Mapping[str, str], later: Collection[str]) -> str:
    if not endpoint.is_filled:
        return f'got {{{name}}}, which nothing fills; add feed = "FILE.csv", or write %7B{name}%7D for the text itself'
    if name in later:
        return f"got {{{name}}}, which is captured by this step or a later one; use it in a step after that"
    names = ", ".join(known) or "none"
    return (
        f"got {{{name}}}{suggestion(name, known)}, which neither a feed nor an earlier step has; "
        f"the names here are: {names}; correct it, or write {{{{{name}}}}} for the text itself"
    )


def _refuse_header_values(endpoint: Endpoint, name: str, key: Key, source: Source) -> None:
    if endpoint.feed is None:
        return
    rows = rows_of(endpoint.feed)
    for row, line in zip(rows.values, rows.lines, strict=True):
        fault = value_fault(as_text(row[name])) if name in row else None
        if fault:
            file = Path(endpoint.feed.file).name
            raise source.error(key, f"{file}, line {line}: {name} {fault}, so no header can hold it; correct the line")


def _refuse_idle_feed(endpoints: Sequence[Endpoint], key: Key, source: Source) -> None:
    columns = _columns(endpoints[0])
    used = {name for each in endpoints for _, text in texts_of(each) for name in names_in(text)}
    if columns and not used & columns.keys():
        first = next(iter(columns))
        raise source.error((*key, "feed"), f"fills nothing; write {{{first}}} where its values go, or remove it")


def _reading(key: Key, source: Source, read: Callable[[], T]) -> T:
    """Raises SuiteError where `read` raises DataError."""
    try:
        return read()
    except DataError as error:
        raise source.error(key, str(error)) from None


def _content(table: ContentTable, key: Key, source: Source) -> Content:
    if (table.text is None) == (table.file is None):
        raise source.error(key, 'needs either text = "…" or file = "PATH"; write one of them')
    if table.file is None:
        return Content(**table.model_dump())
    path = existing_file(table.file, (*key, "file"), source)
    sha256 = hash_of(_reading(key, source, lambda: read_bytes(path)))
    return Content(**table.model_dump() | {"file": str(path), "sha256": sha256})


def _feed(table: FeedTable, key: Key, source: Source) -> Feed:
    path = existing_file(table.file, key, source)
    if path.suffix not in FORMATS:
        raise source.error(key, f"got {shown(table.file)}, allowed are {' and '.join(FORMATS)} files; convert it")
    sha256 = hash_of(_reading(key, source, lambda: read_bytes(path)))
    feed = Feed(file=str(path), sha256=sha256, order=table.order, unique=table.unique)
    _reading(key, source, lambda: rows_of(feed))
    return feed


def _expected(fields: Mapping[str, Any], key: Key, source: Source) -> ExpectBody:
    if ("contains" in fields) == ("path" in fields) or ("equals" in fields and "path" not in fields):
        raise source.error(key, 'needs a text, or { json = "$.status", equals = "ok" }; write one of them')
    return ExpectBody(**fields)


def refuse_misfits(case: Case, processes: int, key: Key, source: Source) -> None:
    """Refuse a load that the case's journey or feeds can't have.

    Raises:
        SuiteError: users are needed, or more unique rows than there are.
    """
    if case.load.model == "open":
        if any(each.step for each in case.endpoints):
            raise source.error(
                (*key, "journey"), 'needs model = "closed", for its steps are taken by users; set it in this load'
            )
        if any(each.feed and each.feed.order == "per_user" for each in case.endpoints):
            raise source.error(key, 'a feed with order = "per_user" needs model = "closed"; set it in this load')
    for feed in dict.fromkeys(each.feed for each in case.endpoints if each.feed and each.feed.unique):
        needed, rows = _least_needed(feed, case, processes), len(dealt(feed))
        if needed > rows:
            raise source.error(
                key,
                f"{Path(feed.file).name} has {rows} unique rows for the load (and one for the request before it), but "
                f"{case.load.label} need at least {needed}; add rows, or remove unique",
            )


def _least_needed(feed: Feed, case: Case, processes: int) -> int:
    """Rows that a run is sure to need: closed load, one for each user; open load, one for each request that is due."""
    mine = [each for each in case.endpoints if each.feed == feed]
    if case.load.shape is not None:  # how many users it brings is known afterwards only
        return 1
    if feed.order == "per_user":
        return case.load.users + processes - 1  # users are spread over the processes, up to one more here or there
    if mine[0].step is not None:
        return len(mine) * case.load.users
    share = sum(each.weight for each in mine) / sum(each.weight for each in case.endpoints)
    if case.load.model == "closed":
        return math.floor(share * case.load.users)
    due = requests_due(case.load)
    spread = DEVIATIONS * math.sqrt(due) if case.load.arrivals == "poisson" else 0
    return math.floor(share * max(0.0, due - spread))


def requests_due(load: Load) -> float:
    """Requests that open load is expected to send in warm-up and window."""
    return load.warmup_s * load.rate_rps + load.measure_s * load.mean_rps
