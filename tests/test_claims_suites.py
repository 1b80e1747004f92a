"""The suites, lessons and texts of the claims fit together; each suite holds what its claim is decided by."""

from collections.abc import Iterable

import pytest
from fastapi.routing import APIRoute
from support.docs import ROOT
from support.target import described

from loopwise.claims.table import CLAIMS as TABLE
from loopwise.measure.plan import duration
from loopwise.model import Case, Suite
from loopwise.paths import scenarios_dir
from loopwise.suite import load_suite
from loopwise.visible import clean
from target_app.lessons import blocking, cpu, databases, http_clients, threads, waiting

CLAIMS = [f"C{number:02}" for number in range(1, 21)]
LESSONS = {
    route.path: route.endpoint
    for module in (waiting, blocking, threads, cpu, databases, http_clients)
    for route in module.router.routes
    if isinstance(route, APIRoute)
}
LONGEST_S = 85
"""On two cores; with the start of the command line it stays below the two minutes that a claim may take."""
ALL_S = 25 * 60

WANTED: dict[str, set[tuple[object, ...]]] = {
    # claim: what its rule can't do without, as (workload, mode, a factor that is varied)
    "C01": {("sleep", "sync", users) for users in (1, 20, 40, 80)} | {("sleep", "blocking", 20)},
    "C02": {("sleep", "async", users) for users in (1, 10, 50, 200, 500)} | {("sleep", "blocking", 20)},
    "C03": {("upstream", mode, users) for mode in ("async", "sync") for users in (20, 80)},
    "C04": {("cpu", mode, 16) for mode in ("async", "sync")},
    "C05": {("sleep", "blocking", 1), ("sleep", "blocking", 2), ("sleep", "async", 1), ("sleep", "sync", 1)},
    "C06": {("sleep", "async", None), ("sleep", "sync", None), ("sleep", "sync", 10)},
    "C07": {("sleep", mode, 40) for mode in ("blocking", "to_thread", "sync")},
    "C08": {("sleep", mode, 200) for mode in ("async", "sync")},
    "C09": {("cpu", mode, 8) for mode in ("async", "sync", "process")} | {("sleep", "async", 8)},
    "C10": {(workload, mode, 16) for workload in ("noop", "cpu") for mode in ("async", "sync")},
    "C11": {
        *{(f"{share} percent block {ms} ms", "mix", 300) for share in (1, 10) for ms in (1, 5, 20)},
        ("sleep", "async", 300),
    },
    "C12": {("cpu", "async", workers) for workers in (1, 2)},
    "C13": {("cpu", mode, ms) for mode in ("async", "process") for ms in (0.1, 1, 20)},
    "C14": {("sleep", mode, rate) for mode in ("async", "sync") for rate in (200, 360, 600)},
    "C15": {("sqlite", mode, rows) for mode in ("async", "sync", "blocking") for rows in (1, 1000)},
    "C16": {("upstream", mode, client) for mode in ("async", "sync") for client in ("shared", "request")},
    "C17": {
        ("sleep", "async", 100),
        ("sleep", "sync", 100),
        ("async and sync waits", "mix", 200),
        ("async waits and sync computing", "mix", 200),
        ("async waits and blocking", "mix", 200),
    },
    "C18": {("cpu", mode, workers) for mode in ("async", "sync") for workers in (1, 2)},
    "C19": {("cache", mode, ratio) for mode in ("async", "sync") for ratio in (0, 0.5, 0.9, 1)},
    "C20": {
        *{
            ("sleep", mode, server)
            for mode in ("async", "sync")
            for server in ("uvicorn", "gunicorn", "granian", "hypercorn")
        },
        *{("noop", "async", server) for server in ("uvicorn", "granian", "hypercorn")},
    },
}
VARIED = {
    **dict.fromkeys(("C05", "C12", "C18"), "workers"),
    **dict.fromkeys(("C11", "C14", "C17"), "rate_rps"),
    "C06": "threads",
    "C13": "ms",
    "C15": "rows",
    "C16": "client",
    "C19": "hit_ratio",
    "C20": "server",
}
"""The factor in the table above, where it is not the number of users."""
VICTIM_DECIDES = {"C05", "C07", "C09", "C11", "C15", "C16", "C18"}


@pytest.fixture(scope="module")
def suites() -> dict[str, Suite]:
    paths = {claim: str(scenarios_dir() / "claims" / f"{claim.lower()}.toml") for claim in CLAIMS}
    return {claim: load_suite(path, describe=described) for claim, path in paths.items()}


def factor(case: Case, name: str) -> object:
    server = case.server
    assert server is not None
    if name == "server":
        return server.name
    if name in {"workers", "threads"}:
        return getattr(server, name)
    return case.params.get(name, getattr(case.load, name, None))


def own(cases: Iterable[Case]) -> list[Case]:
    return [case for case in cases if case.app is not None]


def test_there_is_a_suite_for_each_claim_and_none_besides() -> None:
    found = {path.stem for path in (scenarios_dir() / "claims").glob("*.toml")}
    assert found == {claim.lower() for claim in CLAIMS}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_suite_has_the_name_and_the_sentence_of_its_claim(claim: str, suites: dict[str, Suite]) -> None:
    assert suites[claim].name == claim.lower()
    assert suites[claim].description
    first = (scenarios_dir() / "claims" / f"{claim.lower()}.toml").read_text(encoding="utf-8").splitlines()[0]
    told = first.removeprefix(f'# {claim}: "').removesuffix('"')
    assert told.lower() == TABLE[claim].statement.lower()


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_suite_has_the_cases_that_its_claim_is_decided_by(claim: str, suites: dict[str, Suite]) -> None:
    varied = VARIED.get(claim, "users")
    cases = [case for case in suites[claim].cases if case.app is None]
    assert {(case.workload, case.mode, factor(case, varied)) for case in cases} == WANTED[claim]
    if claim in VICTIM_DECIDES:
        assert all(case.load.victim == "/health" for case in suites[claim].cases)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_suite_fits_its_time_even_if_the_machine_is_disturbed(claim: str, suites: dict[str, Suite]) -> None:
    assert duration(suites[claim], 2).most <= LONGEST_S
    assert suites[claim].replicates.min >= 3


def test_all_suites_together_leave_time_for_the_search(suites: dict[str, Suite]) -> None:
    assert sum(duration(suite, 2).most for suite in suites.values()) <= ALL_S


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_suite_measures_its_lessons_routes_under_the_same_load(claim: str, suites: dict[str, Suite]) -> None:
    cases = own(suites[claim].cases)
    paths = [endpoint.path for case in cases for endpoint in case.endpoints]
    assert {f"/{claim.lower()}/wrong", f"/{claim.lower()}/right"} <= set(paths) <= set(LESSONS)
    assert len({case.load for case in cases}) == 1


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_text_names_the_lessons_functions(claim: str) -> None:
    text = TABLE[claim]
    names = (LESSONS[f"/{claim.lower()}/{side}"].__name__ for side in ("wrong", "right"))
    assert (text.wrong, text.right) == tuple(names)


def test_the_texts_are_complete_and_in_order() -> None:
    assert list(TABLE) == CLAIMS
    for claim, text in TABLE.items():
        assert text.claim_id == claim
        sentences = (text.statement, text.belief, text.experiment, text.prediction, text.advice)
        assert all(sentence.endswith((".", "?", '".')) for sentence in sentences), claim


@pytest.mark.parametrize("claim", ["C01", "C07", "C15", "C16", "C18"])
def test_a_text_says_what_is_true_where_the_usual_wording_is_not(claim: str) -> None:
    assert TABLE[claim].truth


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_prediction_shows_its_arithmetic(claim: str) -> None:
    assert any(sign in TABLE[claim].prediction for sign in "÷×")


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_document_has_the_claims_texts(claim: str) -> None:
    text, known = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8"), TABLE[claim]
    for each in (known.truth, known.belief, known.experiment, known.prediction, known.advice):
        assert clean(each) in text


def test_claims_about_cores_say_how_many_they_need() -> None:
    assert {claim for claim, text in TABLE.items() if text.needs_cores > 1} == {"C12", "C13", "C18"}
