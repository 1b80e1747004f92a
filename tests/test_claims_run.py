"""Claims from the suite to the page, on a bench without servers; and what the commands print and return."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.claim import describe_any, suite_of_claim, typical
from support.cli import Bench, commanding
from support.fakes import Conduct, FakeBench, machine_of

from loopwise.claims import archive, examine
from loopwise.claims.archive import ClaimFolder
from loopwise.claims.claim import Claim
from loopwise.claims.examine import Examiner, needs_more, suite_of
from loopwise.claims.finding import Change, Finding, changes
from loopwise.claims.page import source_of
from loopwise.claims.table import CLAIMS
from loopwise.errors import Interrupted, ResultError, UsageError
from loopwise.model import Case
from loopwise.report.terminal.progress import Quiet
from loopwise.servers.lifecycle import RunningServer
from loopwise.suite import load_suite

C01, C04 = CLAIMS["C01"], CLAIMS["C04"]


class ArithmeticBench(FakeBench):
    """A bench on which every case has the throughput of the typical world."""

    def conduct(self, case_id: str) -> Conduct:
        known = self.conducts.get(case_id)
        case = self.cases.get(case_id)
        if known is not None or case is None or case.app is not None:
            return known or Conduct(200.0)
        return Conduct(typical(case, "throughput_rps", ""), noise_ratio=0.002)

    def __init__(self) -> None:
        super().__init__()
        self.cases: dict[str, Case] = {}

    @contextmanager
    def serve(self, case: Case, **options: Any) -> Iterator[RunningServer]:
        self.cases[case.case_id] = case
        with super().serve(case, **options) as server:
            yield server


@pytest.fixture
def bench_of_claims(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ArithmeticBench]:
    """Claims are measured on fakes, in a home of their own."""
    made = ArithmeticBench()
    monkeypatch.setattr(archive, "results_dir", lambda: tmp_path / "results")
    monkeypatch.setattr("loopwise.generator.client.generators", lambda _log: nullcontext(made))
    monkeypatch.setattr(examine, "Examiner", partial(Examiner, serve=made.serve, describe=describe_any))
    real = load_suite
    monkeypatch.setattr(examine, "load_suite", lambda path, describe=describe_any: real(path, describe=describe))
    monkeypatch.setattr("loopwise.servers.target.calibrate", lambda: {"cpu_iterations_per_ms": 1000.0})
    with machine_of(made):
        yield made


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    """Runs the command line in this process, in a wide terminal; returns status, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "200")
    return commanding(monkeypatch, capsys)


def write_finding(folder: Path, claim_id: str, verdict: str) -> None:
    """Write a finding as after a run."""
    folder.mkdir(parents=True, exist_ok=True)
    ClaimFolder(folder, claim_id).write(finding_of(claim_id, verdict))


def examiner(folder: Path, made: FakeBench, **options: object) -> Examiner:
    watching = lambda: nullcontext(Quiet())  # noqa: E731 - a name for the fake
    return Examiner(folder, made, watching, serve=made.serve, describe=describe_any, **options)  # type: ignore[arg-type]


def finding_of(claim_id: str, verdict: str, **options: object) -> Finding:
    return Finding.model_validate(
        {
            "claim_id": claim_id,
            "verdict": verdict,
            "sentence": "it is so",
            "measured_at": "2026-01-02T03:04:05",
            **options,
        }
    )


def test_a_claim_is_measured_searched_and_judged(bench_of_claims: ArithmeticBench, tmp_path: Path) -> None:
    told: list[str] = []
    finding = examiner(tmp_path, bench_of_claims, tell=told.append).examine(C01)
    assert finding.verdict == "refuted", finding.sentence
    assert finding.crossover is not None
    assert (finding.crossover.low, finding.crossover.high) == (40.0, 44.0)
    place = ClaimFolder(tmp_path, "C01")
    assert place.finding() == finding
    assert sorted(path.name for path in (place.path / "searched").iterdir()) == [
        "users-44",
        "users-48",
        "users-57",
    ]
    assert told == [f"C01: where does it begin? trying {users} users" for users in (57, 48, 44)]
    assert CLAIMS["C01"].judge(place.summary()) == finding  # the same from disk, without measuring


def test_a_search_begins_no_step_that_it_has_no_time_for(bench_of_claims: ArithmeticBench, tmp_path: Path) -> None:
    clock = iter([0.0, *[examine.SEARCH_UNTIL_S] * 9])
    finding = examiner(tmp_path, bench_of_claims, clock=lambda: next(clock)).examine(C01)
    assert finding.crossover is not None
    assert (finding.crossover.low, finding.crossover.high) == (40.0, 80.0)
    assert not (tmp_path / "C01" / "searched").exists()


def test_a_claim_whose_runs_all_fail_is_invalid(bench_of_claims: ArithmeticBench, tmp_path: Path) -> None:
    suite = suite_of_claim("C04")
    broken = {case.case_id: Conduct(is_windowless=True) for case in suite.cases}
    bench_of_claims.conducts.update(broken)
    finding = examiner(tmp_path, bench_of_claims).examine(C04)
    assert finding.verdict == "invalid"
    assert "has no valid run" in finding.sentence


def test_a_suite_that_can_t_be_loaded_makes_its_claim_invalid(
    bench_of_claims: ArithmeticBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopwise.claims.claim.scenarios_dir", lambda: tmp_path)
    finding = examiner(tmp_path, bench_of_claims).examine(C04)
    assert finding.verdict == "invalid"
    assert "c04.toml" in finding.sentence


def test_a_claim_that_needs_more_cores_measures_nothing(bench_of_claims: ArithmeticBench, tmp_path: Path) -> None:
    claim = replace(C04, needs_cores=4096)
    finding = examiner(tmp_path, bench_of_claims).examine(claim)
    assert (finding.verdict, finding.label) == ("undecided", "needs 4096 cores")
    assert "this machine has" in finding.sentence
    assert bench_of_claims.served == []
    assert needs_more(claim, 4096) is None


def test_an_interruption_leaves_what_was_measured(bench_of_claims: ArithmeticBench, tmp_path: Path) -> None:
    case_id = suite_of_claim("C04").cases[0].case_id
    bench_of_claims.conducts[case_id] = Conduct(faults={2: Interrupted("interrupted by SIGINT")})
    with pytest.raises(Interrupted):
        examiner(tmp_path, bench_of_claims).examine(C04)
    place = ClaimFolder(tmp_path, "C04")
    assert place.finding() is None
    assert place.result.runs()[0]
    assert CLAIMS["C04"].judge(place.summary()).verdict in {"undecided", "invalid"}


def test_an_interrupted_command_says_what_is_kept_and_how_to_go_on(
    bench_of_claims: ArithmeticBench, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    case_id = suite_of_claim("C04").cases[0].case_id
    bench_of_claims.conducts[case_id] = Conduct(faults={1: Interrupted("interrupted by SIGINT")})
    status, _, said = bench("claims", "run", "C04", "--quiet", "--out", out)
    assert (status, said) == (
        130,
        f"interrupted by SIGINT: no claim is judged; delete {out} and begin again with: "
        f"loopwise claims run C04 --quiet --out {out}\n",
    )
    shutil.rmtree(out)
    monkeypatch.setattr(
        examine, "needs_more", lambda claim, _: needs_more(claim, 0) if claim.claim_id != "C04" else None
    )
    status, _, said = bench("claims", "run", "C03", "C04", "C05", "--quiet", "--out", out)
    assert (status, said) == (
        130,
        f"interrupted by SIGINT: 1 of 3 claims are judged; see them with: loopwise claims report {out}, "
        "or measure the others with: loopwise claims run C04 C05\n",
    )
    assert bench("claims", "report", out)[0] == 0

    def interrupt(_: Path) -> None:
        raise Interrupted("interrupted by SIGINT")

    monkeypatch.setattr(examine, "judge_again", interrupt)
    status, _, said = bench("claims", "report", out)
    again = f"loopwise claims report {out}"
    assert (status, said) == (130, f"interrupted by SIGINT: what was measured is kept; then: {again}\n")


@pytest.mark.parametrize("claim_id", [claim_id for claim_id, claim in CLAIMS.items() if claim.crossover])
def test_a_search_measures_the_suites_case_but_for_one_value(claim_id: str) -> None:
    cases = [case for case in suite_of_claim(claim_id).cases if case.app is None][:2]
    made = suite_of(cases, suite_of_claim(claim_id), "again", describe=describe_any)
    for one, other in zip(cases, made.cases, strict=True):
        assert (other.params, other.mode, other.load, other.server, other.parts) == (
            one.params,
            one.mode,
            one.load,
            one.server,
            one.parts,
        )


def test_a_search_varies_no_app_of_somebody_s_own() -> None:
    (case, *_) = (case for case in suite_of_claim("C01").cases if case.app is not None)
    with pytest.raises(UsageError, match="no workload of target_app"):
        suite_of([case], suite_of_claim("C01"), "again", describe=describe_any)


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=list(CLAIMS))
def test_every_lesson_has_a_source(claim: Claim) -> None:
    for name, side in ((claim.wrong, "wrong"), (claim.right, "right")):
        source = source_of(name)
        assert source.startswith("@router.")
        assert f'"/{claim.claim_id.lower()}/{side}' in source
        assert f"def {name}(" in source


# The commands.


def test_run_prints_the_plan_judges_and_writes_the_page(
    bench_of_claims: ArithmeticBench, bench: Bench, tmp_path: Path
) -> None:
    status, out, err = bench("claims", "run", "c01", "--out", tmp_path / "o")
    assert (status, err) == (0, "")
    assert "1 claims, about" in out
    assert "C01 refuted: " in out
    assert "1 of 1 claims decided" in out
    page = (tmp_path / "o" / "claims.html").read_text(encoding="utf-8")
    assert C01.statement in page
    assert "time.sleep(0.05)" in page


def test_list_and_show_know_the_last_verdict_here(
    bench_of_claims: ArithmeticBench, bench: Bench, tmp_path: Path
) -> None:
    home = tmp_path / "results" / "claims"
    for day, verdict in (("20260101", "confirmed"), ("20260201", "refuted")):
        write_finding(home / f"{day}T000000Z", "C01", verdict)
    for arguments in (("claims",), ("claims", "list")):
        status, out, _ = bench(*arguments)
        assert status == 0
        assert C04.statement in out
        assert "refuted" in out
        assert "2026-01-02" in out
        assert "confirmed" not in out
    rows = {row["claim_id"]: row for row in json.loads(bench("claims", "list", "--json")[1])}
    assert rows["C01"]["verdict"] == "refuted"
    assert rows["C04"]["verdict"] is None
    out = bench("claims", "show", "C01")[1]
    for part in (C01.statement, "refuted: it is so", "What is true", "20260201T000000Z"):
        assert part in out
    assert "not run here; measure it with: bench.py claims run C04" in bench("claims", "show", "C04")[1]
    document = json.loads(bench("claims", "show", "C01", "--json")[1])
    assert document["finding"]["verdict"] == "refuted"


def test_report_makes_findings_and_page_anew_without_measuring(
    bench_of_claims: ArithmeticBench, bench: Bench, tmp_path: Path
) -> None:
    folder = tmp_path / "o"
    bench("claims", "run", "C01", "--out", folder, "--quiet")
    served = len(bench_of_claims.served)
    before = (folder / "C01" / "finding.json").read_text(encoding="utf-8")
    (folder / "C01" / "finding.json").unlink()
    (folder / "claims.html").unlink()
    status, out, err = bench("claims", "report", folder, "--markdown", tmp_path / "claims.md", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)[0]["verdict"] == "refuted"
    assert (folder / "C01" / "finding.json").read_text(encoding="utf-8") == before
    assert (folder / "claims.html").exists()
    assert len(bench_of_claims.served) == served
    document = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert "| [C01](#c01-a-sync-route-handles-one-request-at-a-time-per-worker) |" in document
    assert "## C01: A sync route handles one request at a time per worker" in document
    assert "**Refuted**: one worker's def route" in document


def test_compare_names_what_flipped_and_fails(bench: Bench, tmp_path: Path) -> None:
    for side, words in (
        ("a", ("confirmed", "refuted")),
        ("b", ("confirmed", "confirmed")),
        ("c", ("undecided", "refuted")),
    ):
        for claim_id, verdict in zip(("C01", "C02"), words, strict=True):
            write_finding(tmp_path / side, claim_id, verdict)
    status, out, _ = bench("claims", "compare", tmp_path / "a", tmp_path / "b")
    assert status == 1
    assert "1 of 2 the same, 1 flipped" in out
    assert bench("claims", "compare", tmp_path / "a", tmp_path / "a")[0] == 0
    status, out, _ = bench("claims", "compare", tmp_path / "a", tmp_path / "c", "--json")
    assert status == 0
    assert [row["change"] for row in json.loads(out)] == ["no longer the same, none contradicts", "same"]


@pytest.mark.parametrize(
    ("base", "other", "word"),
    [
        ("confirmed", "confirmed", "same"),
        ("confirmed", "refuted", "flipped"),
        ("confirmed", "depends", "flipped"),
        ("depends", "refuted", "flipped"),
        ("confirmed", "undecided", "no longer the same, none contradicts"),
        ("invalid", "refuted", "no longer the same, none contradicts"),
        ("confirmed", None, "only in one"),
        (None, "confirmed", "only in one"),
    ],
)
def test_a_flip_is_a_contradiction_of_two_decided_verdicts(base: str | None, other: str | None, word: str) -> None:
    assert Change("C01", base, other).word == word
    sides = [{"C01": finding_of("C01", each)} if each else {} for each in (base, other)]
    assert changes(["C01", "C02"], *sides) == [Change("C01", base, other)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("claims", "run"), "name claims such as C01 C05, or give --all"),
        (("claims", "run", "C01", "--all"), "name claims such as C01 C05, or give --all"),
        (("claims", "run", "C99"), "got C99, allowed are C01 to C20"),
        (("claims", "show", "X"), "got X, allowed are C01 to C20"),
        (("claims", "report", "/nowhere"), "/nowhere: holds no claim"),
        (("claims", "compare", "/nowhere", "/nowhere"), "/nowhere: holds no claim"),
    ],
)
def test_wrong_arguments_are_told_in_a_sentence(bench: Bench, arguments: tuple[str, ...], sentence: str) -> None:
    status, _, err = bench(*arguments)
    assert status == 2
    assert sentence in err


def test_a_damaged_or_newer_finding_is_refused(tmp_path: Path) -> None:
    place = ClaimFolder(tmp_path, "C01")
    place.write(finding_of("C01", "refuted", schema_version=99))
    with pytest.raises(ResultError, match="schema_version is 99"):
        place.finding()
    (place.path / "finding.json").write_text('{"claim_id": 1', encoding="utf-8")
    with pytest.raises(ResultError, match=r"finding\.json: .*claims report"):
        place.finding()
