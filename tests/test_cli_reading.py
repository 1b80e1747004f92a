"""Commands that read results, on fakes: verdicts and gates, files for a CI, JSON, listings."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.cli import Bench, commanding
from support.fakes import THREE_CONDUCTS, Conduct, case_of, measured, suite_with, three_modes

from loopwise.cli.list_ import LISTINGS
from loopwise.servers.specs import SERVERS, WSGI_SERVERS


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    return commanding(monkeypatch, capsys)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`base`, `same`, one from `elsewhere`, a `slow` one and a `dead` one."""
    folder = tmp_path_factory.mktemp("results")
    steady = {case_id: Conduct(each.throughput_rps, 0.002) for case_id, each in THREE_CONDUCTS.items()}
    measured(folder / "base", conducts=steady)
    here = {"cores": 2, "cpu_model": "Example CPU", "versions": {"uvicorn": "0.40.0"}}
    measured(folder / "same", conducts=steady, environment=here | {"memory_gb": 8})
    measured(folder / "elsewhere", conducts=steady, environment=here | {"cores": 4})
    measured(folder / "slow", conducts=steady | {"async": Conduct(700.0, 0.002)})
    measured(folder / "dead", conducts=steady | {"async": Conduct(generator_cpu_ratio=0.97)})
    measured(folder / "once", three_modes(replicates=(1, 1)), steady | {"async": Conduct(300.0)})
    return folder


@pytest.mark.parametrize(
    ("other", "gate", "status"),
    [
        ("same", "throughput_rps:-5%", 0),
        ("slow", "throughput_rps:-5%", 1),
        ("slow", "throughput_rps:-50%", 0),
        ("slow", "throughput_rps:+5%", 0),
        ("slow", "service_time_p99_ms:+10%", 1),
        ("dead", "throughput_rps:-5%", 3),
        ("once", "throughput_rps:-5%", 3),
    ],
    ids=["same", "slower", "far gate", "other way", "latency", "nothing measured", "no interval"],
)
def test_compare_ends_with_what_its_gate_says(bench: Bench, results: Path, other: str, gate: str, status: int) -> None:
    found, out, err = bench("compare", results / "base", results / other, "--fail-on", gate)
    assert (found, err) == (status, "")
    assert (f"gate {gate}" in out) is (status != 0)


def test_compare_overlays_several_results_and_names_differences(bench: Bench, results: Path) -> None:
    status, out, _ = bench("compare", results / "base", results / "same", results / "slow")
    assert status == 0
    assert "differs: memory_gb: None in base, 8 in same" in out
    assert "same ÷ base" in out
    assert "slow ÷ base" in out


def test_compare_refuses_another_machine_unless_told_so(bench: Bench, results: Path) -> None:
    sides = ("compare", results / "base", results / "elsewhere")
    status, out, err = bench(*sides)
    assert (status, out) == (2, "")
    assert "cores is 2 and 4" in err
    assert "--allow-different cores" in err
    status, out, err = bench(*sides, "--allow-different", "cores")
    assert (status, err) == (0, "")
    assert "differs: cores: 2 in base, 4 in elsewhere" in out


def test_compare_writes_what_a_ci_shows_whatever_the_gate_says(bench: Bench, results: Path, tmp_path: Path) -> None:
    xml, comment = tmp_path / "loopwise.xml", tmp_path / "comment.md"
    files = ("--junit", xml, "--markdown", comment)
    status, _, err = bench("compare", results / "base", results / "slow", "--fail-on", "throughput_rps:-5%", *files)
    assert (status, err) == (1, "")
    assert ElementTree.parse(xml).getroot().get("failures") == "1"
    assert comment.read_text(encoding="utf-8").startswith("### ❌ 1 gate failed")
    missing = tmp_path / "none" / "x.xml"
    status, _, err = bench("compare", results / "base", results / "slow", "--junit", missing)
    assert status == 2
    assert f"--junit: {missing} can't be written" in err


def test_compare_writes_page_and_charts_where_it_is_told_to(bench: Bench, results: Path, tmp_path: Path) -> None:
    sides = (results / "base", results / "slow", results / "same")
    status, out, _ = bench("compare", *sides, "--out", tmp_path / "new" / "folder")
    assert status == 0
    named = [line.split(": ", 1) for line in out.splitlines() if re.match(r"(page|verdicts|chart): ", line)]
    assert sorted(path for _, path in named) == sorted(map(str, (tmp_path / "new" / "folder").iterdir()))
    assert [kind for kind, _ in named] == ["page", "verdicts", *["chart"] * 8]
    page = (tmp_path / "new" / "folder" / "compare.html").read_text(encoding="utf-8")
    assert "Of 12 comparisons, " in page
    assert "memory_gb" in page


def test_the_results_are_a_page_to_choose_from(
    bench: Bench, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopwise.paths.results_dir", lambda: results)
    status, out, _ = bench("list", "results", "--html")
    assert (status, out) == (0, f"index: {results / 'index.html'}\n")
    elsewhere = tmp_path / "index.html"
    status, out, _ = bench("list", "results", "--html", "--out", elsewhere, "--json")
    assert (status, len(json.loads(out))) == (0, len(list(results.glob("*/experiment.json"))))
    assert "base" in elsewhere.read_text(encoding="utf-8")
    for wrong in (("list", "suites", "--html"), ("list", "results", "--out", elsewhere)):
        status, _, err = bench(*wrong)
        assert status == 2
        assert "write `list results --html`" in err


JSON_COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check", "smoke"),
    "report": ("report", "{results}/same"),
    "compare": ("compare", "{results}/base", "{results}/slow", "--out", "{out}"),
    **{f"list {what}": ("list", what) for what in LISTINGS if what != "combinations"},
}


@pytest.mark.parametrize("name", JSON_COMMANDS)
def test_json_is_all_that_stdout_holds(bench: Bench, results: Path, tmp_path: Path, name: str) -> None:
    arguments = [part.format(results=results, out=tmp_path / "o") for part in JSON_COMMANDS[name]]
    status, out, err = bench(*arguments, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) is not None


def test_compare_as_json_has_a_row_per_result_case_and_metric(bench: Bench, results: Path) -> None:
    _, out, _ = bench("compare", results / "base", results / "same", results / "slow", "--json")
    rows = json.loads(out)
    assert len(rows) == 2 * 3 * 4
    assert {(row["base"], row["other"]) for row in rows} == {
        (str(results / "base"), str(results / other)) for other in ("same", "slow")
    }
    assert {"candidate_case", "metric", "ratio", "ci_low", "ci_high", "verdict", "reason"} <= set(rows[0])


# `list combinations` starts every server, which tests/test_e2e_servers.py does.
@pytest.mark.parametrize("what", [what for what in LISTINGS if what != "combinations"])
def test_every_listing_prints_a_table(bench: Bench, what: str) -> None:
    status, out, err = bench("list", what)
    assert (status, err) == (0, "")
    assert out.strip()


def test_servers_are_listed_with_what_they_are(bench: Bench) -> None:
    rows = json.loads(bench("list", "servers", "--json")[1])
    assert {row["name"] for row in rows} == {spec.shown for spec in (*SERVERS.values(), *WSGI_SERVERS.values())}
    assert all(row["description"] for row in rows)


def test_a_damaged_result_is_listed_beside_the_others(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopwise.paths.results_dir", lambda: tmp_path)
    assert bench("list", "results")[1] == "no results yet\n"
    measured(tmp_path / "good", suite_with(case_of("sync")))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "experiment.json").write_text("{")
    status, out, _ = bench("list", "results", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert status == 0
    assert (rows["good"]["runs"], rows["good"]["not valid"]) == ("3 of 3", 0)
    assert "can't be read" in rows["bad"]["runs"]
    assert bench("list", "results")[0] == 0
