"""Cases that differ in an option alone are called by it, in answers, tables and charts."""

import itertools
from typing import Any

import pytest
from support.fakes import case_of
from support.printed import printed
from support.report import summary_of

from loopwise.model import App, Case, Patch, Server
from loopwise.model.naming import VARIANTS, name_among, server_name, tell_apart, variant
from loopwise.report import words as page_data
from loopwise.report.cells import Cells
from loopwise.report.charts.workers import workers_panels
from loopwise.report.html import cases as page_cases
from loopwise.report.terminal.answer import Answer


def app(**options: Any) -> dict[str, Any]:
    fields = {"target": "shop:app", "app_dir": "/srv/one", "python": "/usr/bin/python3"}
    return {"app": App(**(fields | options))}


# factor -> (options of one case, of the other, what each is called beside the other)
TABLE: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, str]]] = {
    "features": ({}, {"features": "response_model"}, ("plain", "with response_model")),
    "dependencies": (app(), {**app(), "dependencies": "same"}, ("", "with its dependencies")),
    "patch": (app(), {**app(), "patch": Patch(name="fixes/a.diff", text="", files=())}, ("unpatched", "with a.diff")),
    "app": (app(), app(app_dir="/srv/two"), ("shop:app in one", "shop:app in two")),
    "python": (app(), app(python="/opt/py"), ("by /usr/bin/python3", "by /opt/py")),
    "scenario": ({}, {"scenario": "/srv/journey.py"}, ("", "as journey.py")),
    "options": ({}, {"options": {"tags": ["a", "b"], "tenant": 1}}, ("", "tags a b, tenant 1")),
    "loop": ({}, {"server": Server(loop="uvloop")}, ("loop auto", "loop uvloop")),
    "http": ({}, {"server": Server(http="h11")}, ("parser auto", "parser h11")),
    "threads": ({}, {"server": Server(threads=100)}, ("default threads", "100 threads")),
    "pool_processes": ({}, {"server": Server(pool_processes=2)}, ("default pool", "pool of 2")),
    "limit_concurrency": ({}, {"server": Server(limit_concurrency=9)}, ("no limit", "limit 9")),
    "backlog": ({}, {"server": Server(backlog=64)}, ("default backlog", "backlog 64")),
    "probe": ({}, {"server": Server(probe=False)}, ("", "no probe")),
    "timeouts": ({}, {"server": Server(timeouts="production")}, ("no timeouts", "production timeouts")),
    "interface": ({}, {"server": Server(interface="wsgi")}, ("as asgi", "as wsgi")),
    "access_log": ({}, {"server": Server(access_log=True)}, ("no access log", "access log")),
    "server_args": ({}, {"server": Server(server_args=("--preload",))}, ("no more options", "with --preload")),
    "env": ({}, {"server": Server(env={"A": "1", "B": "x"})}, ("", "A=1, B=x")),
    "env_file": ({}, {"server": Server(env_file="/srv/prod.env")}, ("", "with prod.env")),
    "cwd": (app(), app(cwd="/srv/run"), ("", "in run")),
    "factory_args": (app(), app(factory_args={"size": 5}), ("", "size=5")),
}


@pytest.mark.parametrize("factor", VARIANTS)
def test_what_differs_is_in_the_name_and_what_does_not_is_not(factor: str) -> None:
    first, second, words = TABLE[factor]
    one, other = case_of("one", **first), case_of("other", **second)
    assert (variant(one, (one, other)), variant(other, (one, other))) == words
    assert variant(one, (one, one)) == ""
    names = tell_apart(one, other)
    assert names[0] != names[1]
    assert names[0] == f"sync {words[0]}".strip()
    assert name_among(other, (one, other)) == f"sleep(ms=50) sync, {words[1]}"


def cases() -> tuple[Case, ...]:
    """A mode with and without features, on one worker and two."""
    return tuple(
        case_of(f"{mode}-{features or 'plain'}-{count}", mode, features=features, server=Server(workers=count))
        for mode, features, count in itertools.product(("sync", "async"), ("", "response_model"), (1, 2))
    )


def test_no_two_rows_of_a_table_have_the_same_name() -> None:
    summary = summary_of(cases())
    for group in page_cases.case_groups(summary):
        names = [row.name for row in group.rows]
        assert len(set(names)) == len(names) == 8
    assert "sync with response_model · 2 workers" in names
    text = printed(Answer(summary))
    assert "sync with response_model × 2" in printed(Answer(summary), width=120)
    assert "sync plain × 2" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    candidates = [row.candidate for row in page_data.verdict_rows(summary)]
    assert len(set(candidates)) == len(candidates) == 6


def test_the_workers_chart_has_a_line_for_each() -> None:
    (panel,) = workers_panels(summary_of(cases()))
    assert [len(line) for line in panel.lines] == [2, 2, 2, 2]
    said = panel.describe()
    assert "sync plain " in said
    assert "async with response_model " in said


def test_a_pool_of_processes_is_part_of_the_servers_name() -> None:
    made = [case_of(str(size), "process", server=Server(pool_processes=size)) for size in (1, 2)]
    assert server_name(made[1]) == "uvicorn, pool of 2"
    assert len(Cells(summary_of(tuple(made))).facets) == 2
