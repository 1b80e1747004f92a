"""Blamed lines from what the probe found, and which apps a pass serves."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.fakes import case_of

from loopwise.blame.findings import Findings, Load, Unanswered, blamed_lines, many_short, short_calls
from loopwise.blame.sarif import sarif
from loopwise.blame.subjects import distinct, offered, subjects
from loopwise.blame.watched import ProbeReport, Tally, merge, stuck_place
from loopwise.cli.blame import parse_limit_ms
from loopwise.errors import UsageError
from loopwise.suite.own_app import named_app


def tallies_of(path: Path, held_ns: int = 40_000_000) -> dict[str, Tally]:
    spot = {"path": str(path), "line": 2, "is_app": True, "columns": [2, 2, 4, 17], "callee": None}
    spot |= {"total_ns": 30_000_000, "longest_ns": 20_000_000, "times": 2}
    brief = [spot | {"line": 3, "columns": None, "callee": "lib.f", "total_ns": 28_000_000, "times": 20}]
    calls = [
        {"call": "time.sleep", "path": str(path), "line": 2, "times": 2},
        {"call": "open", "path": str(path), "line": 3, "times": 4},
    ]
    tally = {"held_ns": held_ns, "unseen_ns": 0, "spots": [spot], "brief": brief, "calls": calls}
    return {"0": Tally.model_validate(tally)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text("async def slow():\n    time.sleep(1)\n    open('x')\n", encoding="utf-8")
    return path


def test_a_line_is_named_with_its_call_its_time_and_its_share(source: Path) -> None:
    (line,) = blamed_lines(tallies_of(source), {"0": "GET /slow"})
    assert (line.endpoint, line.line, line.function) == ("GET /slow", 2, "time.sleep")
    assert (line.total_ms, line.longest_ms, line.times, line.share) == (30, 20, 2, 0.75)


def test_a_short_call_is_named_by_the_apps_innermost_line(source: Path) -> None:
    (call,) = short_calls(tallies_of(source), {"0": "GET /slow"})
    assert (call.call, call.line, call.times) == ("open", 3, 4)


def test_cases_that_differ_in_load_alone_are_served_once() -> None:
    assert len(distinct([case_of("a"), case_of("b")])) == 1


def test_options_of_an_app_are_refused_beside_a_suite() -> None:
    with pytest.raises(UsageError, match="go with an app"):
        subjects("quick", ["GET /"], Path(), None)


@pytest.mark.parametrize(("requests", "is_told"), [(20, True), (40, False)])
def test_short_callbacks_are_told_from_a_millisecond_per_request_on(requests: int, is_told: bool, source: Path) -> None:
    found = many_short(tallies_of(source), {"0": "GET /slow"}, {"GET /slow": requests}, 1.0)
    assert [(each.line, each.times, each.mean_ms, each.function) for each in found] == [(3, 20, 1.4, "lib.f")] * is_told


def test_background_callbacks_are_told_by_their_share_of_the_time(source: Path) -> None:
    tallies = {"background": tallies_of(source)["0"]}
    assert len(many_short(tallies, {}, {}, 1.0)) == 1
    assert many_short(tallies, {}, {}, 2.0) == []


def test_findings_of_several_processes_add_up_by_line(source: Path) -> None:
    report = ProbeReport(endpoints=tallies_of(source))
    merged = merge([report, report])["0"]
    assert merged.held_ns == 80_000_000
    assert [(each.total_ns, each.longest_ns, each.times) for each in merged.spots] == [(60_000_000, 20_000_000, 4)]


STUCK = """Timeout (0:00:02)!
Thread 0x00007f0000000002 (most recent call first):
  File "{folder}/other.py", line 9 in run

Thread 0x00007f0000000001 (most recent call first):
  File "/venv/lib/python3.11/site-packages/lib/core.py", line 4 in match
  File "<string>", line 2 in generated
  File "{folder}/app.py", line 7 in search
  File "/usr/lib/python3.11/asyncio/runners.py", line 118 in run
"""


def test_a_loop_that_keeps_the_gil_is_named_by_the_dump_of_its_thread(tmp_path: Path) -> None:
    (tmp_path / "stuck-1.txt").write_text(STUCK.format(folder=tmp_path), encoding="utf-8")
    reports = [ProbeReport(thread=0x7F0000000001)]
    assert stuck_place(tmp_path, reports, tmp_path) == (str(tmp_path / "app.py"), 7)
    assert stuck_place(tmp_path, [], tmp_path) is None


def test_an_expected_status_is_no_complaint_and_another_is() -> None:
    loads = [Load(endpoint=name, requests=1, seconds=0, expect_status=404) for name in ("GET /a", "GET /b")]
    found = Findings(asked=loads, answers={"GET /a": {"404": 1}, "GET /b": {"200": 1}})
    assert [sentence.partition(":")[0] for sentence in found.complaints] == ["GET /b"]


def test_requests_that_the_end_of_the_pass_cut_off_are_no_complaint() -> None:
    loads = [Load(endpoint=name, requests=1, seconds=0) for name in ("GET /a", "GET /b")]
    found = Findings(
        asked=loads, answers={"GET /a": {"200": 9, "unfinished": 1}, "GET /b": {"500": 1, "unfinished": 1}}
    )
    assert found.complaints == ["GET /b: answered 1× 500; is it asked as it should be?"]


HIDDEN_APP = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/internal", include_in_schema=False)
async def internal():
    return {}
"""


def test_an_app_of_which_nothing_may_be_asked_names_its_routes_with_the_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hidden_app.py").write_text(HIDDEN_APP, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    app = named_app("blame", "hidden_app:app", tmp_path, None)
    with pytest.raises(UsageError, match=r"for you: GET /internal \(is in no OpenAPI.*\); name one by") as caught:
        offered(app, None, include_unsafe=False)
    assert "--include-unsafe" in str(caught.value)
    assert offered(app, None, include_unsafe=True)[0] == ["GET /internal"]


@pytest.mark.parametrize(("text", "limit_ms"), [("20ms", 20), ("0.5s", 500), ("1.5 ms", 1.5)])
def test_a_limit_is_a_time_with_its_unit(text: str, limit_ms: float) -> None:
    assert parse_limit_ms(text) == limit_ms


@pytest.mark.parametrize("text", ["20", "ms", "-1ms", "20%"])
def test_a_limit_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--fail-on"):
        parse_limit_ms(text)


def test_sarif_has_a_result_with_a_relative_path_for_each_line(source: Path) -> None:
    lines = blamed_lines(tallies_of(source), {"0": "GET /slow"})
    gone = Unanswered(endpoint="GET /x", outcome="server_ended", after_s=1, requests=0, holds_loop=False, exit_status=7)
    log = json.loads(sarif(Findings(lines=lines, unanswered=[gone]), source.parent, limit_ms=10))
    assert (log["version"], list(log)) == ("2.1.0", ["$schema", "version", "runs"])
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    (result,) = run["results"]
    assert (rules[result["ruleIndex"]], result["level"]) == ("loop-held", "error")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "app.py", "uriBaseId": "SRCROOT"}
    assert place["region"] == {"startLine": 2}
    assert run["originalUriBaseIds"]["SRCROOT"]["uri"].endswith("/")
    assert json.loads(sarif(Findings(lines=lines), source.parent, 20))["runs"][0]["results"][0]["level"] == "warning"


@pytest.mark.parametrize("option", [{"request": {"headers": {"a": "b"}}}, {"env_file": Path(".env")}, {"cwd": Path()}])
def test_a_request_of_an_app_is_refused_beside_a_suite(option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="go with an app"):
        subjects("quick", [], Path(), None, **option)


def test_headers_body_and_status_go_to_every_endpoint_as_in_a_suite(tmp_path: Path) -> None:
    request = {"headers": {"X-Key": "1"}, "json": {"a": 1}, "expect_status": 201}
    chosen = subjects(
        "own:app", ["POST /a", "WS /b"], tmp_path, None, request=request, overrides=["matrix.startup_timeout_s=90.0"]
    )
    (case,) = chosen.cases
    assert [each.name for each in case.endpoints] == ["POST /a", "WS /b"]
    assert all(each.headers == {"X-Key": "1"} and each.json_body == {"a": 1} for each in case.endpoints)
    assert case.endpoints[0].expect_status == 201
    assert case.server is not None
    assert case.server.startup_timeout_s == 90


def test_an_app_is_listed_and_served_with_its_variables_and_folder(tmp_path: Path) -> None:
    source = (
        "import os\n\nfrom fastapi import FastAPI\n\napp = FastAPI()\n"
        "app.add_api_route(os.environ['PREFIX'] + '/x', lambda: 1)\nopen('here.txt')\n"
    )
    (tmp_path / "listed_own.py").write_text(source, encoding="utf-8")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "here.txt").touch()
    variables = tmp_path / ".env"
    variables.write_text("PREFIX=/v1\n", encoding="utf-8")
    chosen = subjects("listed_own:app", [], tmp_path, None, cwd=tmp_path / "work", env_file=variables)
    (case,) = chosen.cases
    assert [each.name for each in case.endpoints] == ["GET /v1/x"]
    assert case.app is not None
    assert case.server is not None
    assert (case.app.cwd, case.server.env_file) == (str(tmp_path / "work"), str(variables))
