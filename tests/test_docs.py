"""The documents say what is: every field, column, key, command and option in docs/ is held against the code."""

import ast
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from support.docs import DOCS, ROOT, anchors, links, named, pages, rows, text_of
from support.fakes import FakeRow, case_of, measured, run_of, table_of

from loopwise import machine, model
from loopwise.analysis.canary import Canary
from loopwise.analysis.cards import Card, Held, Rival
from loopwise.analysis.causes import CAUSES
from loopwise.analysis.checks import CHECKS, DISTURBANCES, check, check_round
from loopwise.analysis.checks.facts import Facts
from loopwise.analysis.metrics import METRICS
from loopwise.analysis.predictions import Prediction
from loopwise.analysis.rounds import side_of
from loopwise.analysis.scaling import Scaling
from loopwise.analysis.summary import COLUMNS
from loopwise.analysis.window import window_figures
from loopwise.claims.finding import Bracket, Finding, Lesson
from loopwise.cli import app
from loopwise.generator.error_kinds import ANSWERED, ErrorKind
from loopwise.generator.protocol import Slice
from loopwise.model import Load, Run
from loopwise.report.build import build
from loopwise.results.columns import Sample
from loopwise.servers.specs import PACKAGES, SERVERS, WSGI_SERVERS, refused_keys
from loopwise.suite.schema import (
    ContentTable,
    EndpointTable,
    Entry,
    ExpectBodyTable,
    FeedTable,
    ServerTable,
    StepTable,
    SuiteTable,
)
from target_app.features import FEATURES

SCHEMA_PAGE, SUITES_PAGE = text_of("schema.md"), text_of("suites.md")
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def fields(noun: type[BaseModel]) -> list[str]:
    """As they stand in JSON or TOML."""
    return [info.alias or name for name, info in noun.model_fields.items() if not info.exclude]


def written_counts(folder: Path) -> list[str]:
    """`counts` of a run on fakes."""
    (run, *_), _damaged = measured(folder / "r").runs()
    return list(run.counts)


def window_keys() -> list[str]:
    """What `window_figures` gives."""
    samples = [Sample(at, 0, "host", at / 2, steal_s=0.0, total_s=at) for at in (1, 2)]
    samples += [
        Sample(at, 7, "server", at / 4, rss_mb=1, pss_mb=1, threads=1, context_switches=at, lags={1: 1})
        for at in (1, 2)
    ]
    return list(window_figures(samples, 1, 2))


NOUNS = [getattr(model, name) for name in (
    "PlannedRun", "Suite", "Case", "Part", "Server", "App", "Endpoint", "Content", "Feed", "ExpectBody", "Load",
    "Cost", "Generator", "Replicates",
    "Comparison", "Window", "Worker", "Resource", "Cause", "WaitPlace", "Kill", "Check", "Round", "Side", "Verdict",
)] + [Card, Rival, Canary, Held, Prediction, Scaling]  # fmt: skip
TABLES: list[tuple[str, Callable[[], list[str]]]] = [
    ("experiment.json", lambda: fields(model.Experiment)),
    ("run.json", lambda: fields(Run)),
    *((noun.__name__, lambda noun=noun: fields(noun)) for noun in NOUNS),
    *((noun.__name__, lambda noun=noun: fields(noun)) for noun in (Finding, Bracket, Lesson)),
    ("Environment", lambda: list(machine.describe(PACKAGES))),
    ("Error count", lambda: fields(model.ErrorCount)),
    ("Server facts", lambda: fields(model.ServerFacts)),
    ("Generator figures", lambda: fields(model.GeneratorFigures)),
    ("Host figures", window_keys),
    ("summary.csv", lambda: COLUMNS),
]


@pytest.mark.parametrize(("heading", "promised"), TABLES, ids=[heading for heading, _ in TABLES])
def test_a_table_of_the_schema_names_exactly_what_is_written(heading: str, promised: Callable[[], list[str]]) -> None:
    assert named(SCHEMA_PAGE, heading) == promised()


def test_what_became_of_the_machine_is_documented() -> None:
    moment = machine.Condition(2, 1.0, 1.0, 3000.0, 0.0)
    changes = list(machine.changes(moment, moment))
    assert named(SCHEMA_PAGE, "Host figures", table=1) == changes
    assert [*window_keys(), *changes] == fields(model.HostFigures)


def test_counts_checks_and_metrics_are_those_of_the_code(tmp_path: Path) -> None:
    assert sorted(named(SCHEMA_PAGE, "Counts")) == sorted(written_counts(tmp_path))
    assert named(SCHEMA_PAGE, "Check", table=1) == list(CHECKS)
    assert named(SCHEMA_PAGE, "Cause", table=1) == list(CAUSES)
    assert named(SCHEMA_PAGE, "summary.csv", table=1) == list(METRICS)


def test_checks_and_counts_of_a_round_are_those_of_the_code(tmp_path: Path) -> None:
    span = Slice("baseline", 0, 1)
    side = side_of(table_of([FakeRow(0, 1, "baseline GET /")], tmp_path), "baseline", [span], None, span)
    record = model.Round(
        pairing="duel", number=1, baseline_case="a", candidate_case="b", status="ok", started_at="", baseline=side,
        candidate=side, host=model.HostFigures(steal_ratio=0, harness_pause_s=0),
        generator=model.GeneratorFigures(wall_s=1, clock_step_ms=0, longest_pause_s=0),
    )  # fmt: skip
    checks = dict.fromkeys(each.name for each in check_round(record))
    meanings = {name: meaning for heading in ("Round", "Side") for name, _, meaning in rows(SCHEMA_PAGE, heading)}
    assert meanings["checks"] == ", ".join(checks)
    assert meanings["counts"].replace("`", "") == ", ".join(side.counts)


def test_units_directions_and_meanings_of_metrics_are_those_of_the_code() -> None:
    for name, unit, better, meaning in rows(SCHEMA_PAGE, "summary.csv", table=1):
        spec = METRICS[name]
        assert (unit, better, meaning) == (spec.unit, spec.better or "", spec.meaning.strip("`")), name


def test_limits_and_effects_of_checks_are_those_of_the_code() -> None:
    limits = {}
    for name, _, limit, effect, _ in rows(SCHEMA_PAGE, "Check", table=1):
        limits[name] = limit
        assert effect.startswith(CHECKS[name].effect), name
        assert ("the run is repeated" in effect) == (name in DISTURBANCES), name
    for one in check(Facts(run_of(case_of("c")), 1.0, None, None, None)):
        assert f"{one.limit:g}" in limits[one.name], one.name


def test_the_files_of_a_result_hold_what_the_schema_says(tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    build(result)
    summary = json.loads((result.path / "summary.json").read_text(encoding="utf-8"))
    assert sorted(named(SCHEMA_PAGE, "summary.json")) == sorted(summary)
    tree = SCHEMA_PAGE.partition("```")[2].partition("```")[0]
    for path in result.path.rglob("*.*"):
        assert path.name in tree or f"*{path.suffix}" in tree, path


def test_the_history_ends_with_the_version_that_is_written() -> None:
    assert named(SCHEMA_PAGE, "Versions")[-1] == str(model.SCHEMA_VERSION)


def texts(nodes: Iterable[ast.AST | None]) -> set[str]:
    """The string constants among them."""
    return {str(node.value) for node in nodes if isinstance(node, ast.Constant) and node.value}


def test_servers_refusals_and_features_are_those_of_the_code() -> None:
    said = [(server, key, allowed, why) for server, key, allowed, why in rows(SUITES_PAGE, "Servers", 1)]
    assert said == [tuple(row.values()) for row in refused_keys()]
    specs = (*SERVERS.values(), *WSGI_SERVERS.values())
    assert rows(SUITES_PAGE, "Servers") == [
        [spec.shown, spec.description, ", ".join(spec.needs.values())] for spec in specs
    ]
    changed = [[spec.shown, "; ".join(spec.changes)] for spec in specs]
    assert rows(SUITES_PAGE, "Servers", 2) == changed
    assert named(SUITES_PAGE, "Features") == list(FEATURES)


def test_every_kind_of_request_error_is_documented_with_its_meaning() -> None:
    first, *documented, last = rows(SCHEMA_PAGE, "Kinds of error")
    assert documented == [[kind, "NNN" if kind in ANSWERED else "0", kind.meaning.strip("`")] for kind in ErrorKind]
    assert [first[0], last[0]] == ["status_NNN", "an errno's name in lower case"]


KEYS: list[tuple[str, int, type[BaseModel]]] = [
    ("The top level", 0, SuiteTable),
    ("[load]", 0, Load),
    ("[replicates]", 0, model.Replicates),
    ("[generator]", 0, model.Generator),
    ("[compare]", 0, model.Comparison),
    ("[[matrix]]", 2, ServerTable),
    ("Endpoints", 0, EndpointTable),
    ("Bodies", 0, ContentTable),
    ("Feeds", 0, FeedTable),
    ("Expected bodies", 0, ExpectBodyTable),
]


@pytest.mark.parametrize(("heading", "table", "noun"), KEYS, ids=[heading for heading, _, _ in KEYS])
def test_the_keys_of_a_suite_are_those_that_are_read(heading: str, table: int, noun: type[BaseModel]) -> None:
    assert sorted(named(SUITES_PAGE, heading, table)) == sorted(fields(noun))


def test_the_keys_of_a_journeys_step_are_those_of_an_endpoint_and_its_own() -> None:
    own = set(fields(StepTable)) - set(fields(EndpointTable))
    assert set(named(SUITES_PAGE, "Journeys")) == own


def test_the_keys_of_a_matrix_entry_are_those_that_are_read() -> None:
    both = named(SUITES_PAGE, "[[matrix]]", 1) + named(SUITES_PAGE, "[[matrix]]", 2)
    assert sorted(both) == sorted(fields(Entry))


def commands() -> list[tuple[str, Any]]:
    group: Any = typer.main.get_command(app)
    return sorted(group.commands.items())


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_every_command_and_option_is_documented(name: str, command: Any) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *DOCS.glob("*.md")])
    assert f"bench.py {name}" in text
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert max(parameter.opts, key=len) in text


PROMISES: list[tuple[str, str]] = re.findall(r"^\| (.+) \| (`test_.+`) \|$", SECURITY, re.MULTILINE)


def test_every_promise_of_security_is_held_by_a_test_that_exists() -> None:
    known = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    named_tests = set(re.findall(r"`(test_\w+)`", SECURITY))
    assert len(PROMISES) > 20
    assert named_tests - known == set()
    assert {test for _, cell in PROMISES for test in re.findall(r"`(test_\w+)`", cell)} == named_tests


def test_every_table_of_security_names_tests_in_every_row() -> None:
    lines = [line for line in SECURITY.splitlines() if re.match(r"\| (?!promise \||who \|)", line)]
    assert len(lines) == len(PROMISES) + len(rows(SECURITY, "Who may harm whom"))


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in links(text):
        path, _, anchor = link.partition("#")
        to = page.parent / path if path else page
        assert to.exists(), link
        assert not anchor or anchor in anchors(to.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_has_both_sides_of_a_merge(page: Path) -> None:
    assert re.findall(r"^(?:<{7}|>{7}) .*", page.read_text(encoding="utf-8"), re.MULTILINE) == []


def test_the_pages_that_are_promised_are_among_those_checked() -> None:
    names = {str(path.relative_to(ROOT)) for path in pages()}
    assert {"README.md", "CONTRIBUTING.md", "docs/schema.md", "examples/shop/README.md"} <= names
