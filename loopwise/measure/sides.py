"""The two sides of a duel as cases: apps, git revisions of an app, or cases of a suite."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from loopwise.errors import UsageError
from loopwise.measure.versions import Version, case_of, names_of, served_from
from loopwise.model import Case
from loopwise.suite import load_suite


@contextmanager
def sides_of_apps(
    versions: tuple[Version, Version], endpoints: Sequence[str], load: Mapping[str, Any]
) -> Iterator[tuple[Case, Case]]:
    """Both versions as cases; checkouts of revisions last until the `with` block ends.

    Raises:
        UsageError: a side can't be served, or nothing says what to ask.
    """
    if not endpoints:
        raise UsageError("duel: nothing says what to ask; add --endpoint 'GET /x', or --suite SUITE")
    with served_from(*versions) as folders:
        names = names_of(versions[0].text, versions[1].text)
        one, two = (
            case_of(version, folder, endpoints, load, case_id=name)
            for version, folder, name in zip(versions, folders, names, strict=True)
        )
        yield one, two


def sides_of_suite(
    suite: str, case_ids: tuple[str, str], endpoints: Sequence[str], load: Mapping[str, Any]
) -> tuple[Case, Case]:
    """Both sides as cases of a suite, with the users of the suite and the duel's timing.

    Raises:
        UsageError: there is no such case, it can't be served beside another, or the loads differ.
    """
    if endpoints:
        raise UsageError("duel: the cases of --suite say what is asked; leave out --endpoint")
    cases = {case.case_id: case for case in load_suite(suite).cases}
    one, two = (_with_load(_case(cases, case_id, suite), load) for case_id in case_ids)
    if one.load != two.load:
        raise UsageError(
            f"duel: {one.case_id} and {two.case_id} have different loads; choose cases with the same one"
        )
    if one.case_id != two.case_id:
        return one, two
    names = names_of(one.case_id, two.case_id)
    return one.model_copy(update={"case_id": names[0]}), two.model_copy(update={"case_id": names[1]})


def _case(cases: Mapping[str, Case], case_id: str, suite: str) -> Case:
    if case_id not in cases:
        raise UsageError(
            f"duel: {suite} has no case {case_id!r}, it has {', '.join(cases)}; see `bench.py check {suite}`"
        )
    case = cases[case_id]
    if case.server is None or case.scenario is not None or case.load.model != "closed":
        raise UsageError(
            f"duel: {case_id} can't be put head to head: it needs a server that we start, declared "
            "endpoints and a closed load; choose another case"
        )
    return case


def _with_load(case: Case, load: Mapping[str, Any]) -> Case:
    mine = {**load, "users": case.load.users, "think_s": case.load.think_s, "victim": None}
    return case.model_copy(update={"load": case.load.model_copy(update=mine)})
