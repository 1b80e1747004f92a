"""What blocks leave undecided is measured in slices: bounded, to the end of its interval, and resumable."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fake_pairs import PairBench, carry_out_all, on_fakes
from support.fakes import Conduct, case_of, new_result, suite_with

from loopwise.analysis.metrics import COMPARED
from loopwise.analysis.paired import MIN_ROUNDS
from loopwise.analysis.summary import summarise
from loopwise.cli.report import report
from loopwise.cli.run import run
from loopwise.errors import Interrupted, ServerError
from loopwise.generator.protocol import ABBA
from loopwise.measure.slices import undecided
from loopwise.model import SIDES, TOTAL, Comparison, Experiment, Round, Suite, Verdict
from loopwise.report.build import build
from loopwise.report.terminal.progress import Quiet
from loopwise.report.words import trouble
from loopwise.results.folder import ResultFolder

DEAD = ServerError("the server ended with status 1 before it answered")
NOISE, CALM = 0.25, 0.004
"""Of runs apart, and of two servers asked by turns."""
FASTER_BY = 1.12


def noisy(throughput_rps: float, **options: Any) -> Conduct:
    """A case that blocks can't tell from its like, and slices can."""
    calm = Conduct(throughput_rps, noise_ratio=CALM, **options)
    return Conduct(throughput_rps, noise_ratio=NOISE, in_pairs=calm)


CONDUCTS = {"sync": noisy(400.0), "async": noisy(400.0 * FASTER_BY)}
TWO, THREE = ("sync", "async"), ("sync", "async", "to_thread")


def suite_of(modes: tuple[str, ...] = TWO, **compare: Any) -> Suite:
    return suite_with(
        *(case_of(mode, mode) for mode in modes),
        compare=Comparison(baseline={"mode": "sync"}, **{"slices_max": 6, "slices_max_s": 86_400} | compare),
    )


def escalated(
    folder: Path, conducts: dict[str, Conduct] | None = None, modes: tuple[str, ...] = TWO, **compare: Any
) -> tuple[ResultFolder, PairBench]:
    result, experiment = new_result(folder / "r", suite_of(modes, **compare))
    bench = PairBench(CONDUCTS | (conducts or {}))
    carry_out_all(result, experiment, bench)
    return result, bench


def verdict_on(result: ResultFolder, metric: str = "throughput_rps", candidate: str = "async") -> Verdict:
    return next(
        each for each in summarise(result).verdicts if (each.metric, each.candidate_case) == (metric, candidate)
    )


def test_slices_decide_comparisons_that_blocks_left_undecided(tmp_path: Path) -> None:
    left = verdict_on(escalated(tmp_path / "none", slices_max=0)[0])
    assert (left.verdict, left.pairing) == ("undecided", "blocks")
    result, _ = escalated(tmp_path / "some")
    found = verdict_on(result)
    assert (found.verdict, found.pairing) == ("better", "slices")
    assert found.ratio == pytest.approx(FASTER_BY, rel=0.02)
    assert "measured in alternating slices" in found.reason
    rounds, damaged = result.rounds()
    assert not damaged
    assert found.replicates == len(rounds) >= MIN_ROUNDS
    assert {each.status for each in rounds} == {"ok"}
    assert {verdict_on(result, metric).pairing for metric in COMPARED} == {"slices"}


def test_a_round_is_written_with_rows_logs_and_both_sides(
    tmp_path: Path,
) -> None:
    result, bench = escalated(tmp_path)
    first = result.rounds()[0][0]
    folder = result.round_folder("sync", "async", 1)
    assert {path.name for path in folder.iterdir()} == {
        "round.json",
        "samples.parquet",
        "baseline.log",
        "candidate.log",
    }
    rows = result.round_samples(first)
    assert rows.num_rows == first.baseline.counts["rows"] + first.candidate.counts["rows"]
    order = next(order for order in bench.orders if order.rival is not None)
    assert order.rival is not None
    assert order.rival.slices % len(ABBA) == 0
    assert first.slice_s is not None
    assert first.slice_s == order.rival.slice_s
    assert first.duration_s == pytest.approx(order.rival.slices / 2 * first.slice_s)
    for side in (first.baseline, first.candidate):
        assert side.metrics[TOTAL]["cpu_ms_per_request"] == pytest.approx(1.0, rel=0.02)
        assert side.server.argv == ("fake",)
    assert first.candidate.cpu_share == pytest.approx(FASTER_BY / (1 + FASTER_BY), abs=0.02)


def test_reported_again_from_disk_it_says_the_same_in_every_view(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result, _ = escalated(tmp_path)
    first = build(result)
    written = (result.path / "verdicts.json").read_bytes()
    rows = [row for row in json.loads(written) if row["metric"] == "throughput_rps"]
    assert [(row["pairing"], row["verdict"]) for row in rows] == [("slices", "better")]
    assert report(result.path, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdicts"] == json.loads(written)
    assert "measured in alternating slices" in (result.path / "report.html").read_text(encoding="utf-8")
    assert build(ResultFolder(result.path)).verdicts == first.verdicts
    assert (result.path / "verdicts.json").read_bytes() == written


def test_without_rounds_on_disk_blocks_decide(tmp_path: Path) -> None:
    result, _ = escalated(tmp_path)
    for path in result.path.glob("pairs/*/*/*/round.json"):
        path.unlink()
    assert verdict_on(result).pairing == "blocks"
    assert "slices" not in verdict_on(result).reason


def test_only_what_is_undecided_is_escalated(tmp_path: Path) -> None:
    decided = {"sync": replace(CONDUCTS["sync"], noise_ratio=0.003), "to_thread": noisy(420.0)}
    result, bench = escalated(tmp_path, decided | {"async": Conduct(900.0, noise_ratio=0.003)}, THREE)
    assert verdict_on(result).pairing == "blocks"
    assert verdict_on(result).verdict == "better"
    assert {(baseline, candidate) for baseline, candidate, _ in bench.rounds} == {("sync", "to_thread")}
    assert verdict_on(result, candidate="to_thread").pairing == "slices"


@pytest.mark.parametrize("bound", [{"slices_max": 0}, {"slices_max_s": 0}], ids=str)
def test_no_slices_are_measured_where_none_are_allowed(tmp_path: Path, bound: dict[str, Any]) -> None:
    result, bench = escalated(tmp_path, **bound)
    assert not bench.rounds
    assert not (result.path / "pairs").exists()
    assert result.experiment().finished_at is not None


def test_a_suite_without_a_baseline_has_nothing_to_escalate(tmp_path: Path) -> None:
    suite = suite_of().model_copy(update={"compare": Comparison()})
    result, experiment = new_result(tmp_path / "r", suite)
    bench = PairBench(CONDUCTS)
    carry_out_all(result, experiment, bench)
    assert not bench.rounds


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_a_pair_that_stays_wide_gets_the_most_rounds_allowed(tmp_path: Path, most: int) -> None:
    wild = {mode: replace(conduct, in_pairs=Conduct(400.0, noise_ratio=NOISE)) for mode, conduct in CONDUCTS.items()}
    result, bench = escalated(tmp_path, wild, slices_max=most)
    assert [number for *_, number in bench.rounds] == list(range(1, most + 1))
    if most < MIN_ROUNDS:  # they have an interval that decides nothing: then blocks say more
        assert verdict_on(result).pairing == "blocks"


def test_sides_swap_their_places_from_round_to_round(tmp_path: Path) -> None:
    result, bench = escalated(tmp_path, slices_max=4, margin=0.001)
    firsts = [each.first for each in result.rounds()[0]]
    assert firsts == [SIDES[index % 2] for index in range(len(firsts))]
    assert len(firsts) == 4
    rivals = [order.rival.first for order in bench.orders if order.rival is not None]
    assert rivals == firsts
    starts = [case_id for case_id, _ in bench.served[-8:]]
    assert starts == ["sync", "async", "async", "sync"] * 2


def test_two_failed_rounds_end_a_pair_and_blocks_decide(tmp_path: Path) -> None:
    dying = replace(CONDUCTS["async"], in_pairs=Conduct(448.0, faults=dict.fromkeys(range(1, 9), DEAD)))
    result, _ = escalated(tmp_path, {"async": dying, "to_thread": noisy(480.0)}, THREE)
    tried = [each for each in result.rounds()[0] if each.candidate_case == "async"]
    assert [(each.status, each.error) for each in tried] == [("failed", str(DEAD))] * 2
    assert (verdict_on(result).pairing, verdict_on(result).verdict) == ("blocks", "undecided")
    assert verdict_on(result, candidate="to_thread").pairing == "slices"
    assert result.experiment().finished_at is not None


def test_a_round_whose_generator_dies_never_counts(tmp_path: Path) -> None:
    cut = replace(CONDUCTS["async"], in_pairs=Conduct(448.0, noise_ratio=CALM, deaths=frozenset({2})))
    result, _ = escalated(tmp_path, {"async": cut})
    failed = [each for each in result.rounds()[0] if each.status == "failed"]
    assert [each.number for each in failed] == [2]
    assert "the generator ended with status -9" in str(failed[0].error)
    assert result.round_samples(failed[0]).num_rows > 20
    assert verdict_on(result).replicates == len(result.rounds()[0]) - 1


BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "errors": ({"error_ratio": 0.5}, "invalid", "requests failed"),
    "generator_cpu": ({"generator_cpu_ratio": 0.97}, "invalid", "the generator used 97 % of a core"),
    "no window": ({"is_windowless": True}, "failed", "the generator ended without a window"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_rounds_that_cannot_be_used_are_kept_and_settle_nothing(tmp_path: Path, name: str) -> None:
    options, status, sentence = BROKEN[name]
    result, _ = escalated(tmp_path, {"async": noisy(448.0, **options)})
    rounds = result.rounds()[0]
    assert [each.status for each in rounds] == [status] * 2
    assert all(sentence in str(each.error) for each in rounds)
    assert all(result.round_samples(each).num_rows for each in rounds)
    assert verdict_on(result).pairing == "blocks"
    told = [each for each in trouble(summarise(result)) if each.startswith("slices of ")]
    assert [f", round {each.number}, {status}: " in words for each, words in zip(rounds, told, strict=True)] == [
        True
    ] * 2
    assert all(sentence in words for words in told)


class Cut(Quiet):
    """Ends everything after so many rounds."""

    def __init__(self, after: int, error: BaseException) -> None:
        self.left = after
        self.error = error

    def round_ended(self, found: Round) -> None:
        del found
        self.left -= 1
        if not self.left:
            raise self.error


class Crash(BaseException):
    """The power goes."""


def on_disk(result: ResultFolder) -> list[dict[str, Any]]:
    return [each.model_dump(exclude={"started_at"}) for each in result.rounds()[0]]


SLOWER = {"to_thread": noisy(350.0)}


@pytest.mark.parametrize("error", [Interrupted("interrupted by SIGINT"), Crash()], ids=["signal", "crash"])
@pytest.mark.parametrize("after", range(1, 7))
def test_an_interrupted_escalation_keeps_its_rounds_and_resumes(
    tmp_path: Path, after: int, error: BaseException
) -> None:
    whole, _ = escalated(tmp_path / "whole", SLOWER, THREE)
    assert len(whole.rounds()[0]) > max(2 * MIN_ROUNDS, after)
    result, experiment = new_result(tmp_path / "cut" / "r", suite_of(THREE))
    first, second = PairBench(CONDUCTS | SLOWER), PairBench(CONDUCTS | SLOWER)
    with pytest.raises(type(error)):
        carry_out_all(result, experiment, first, Cut(after, error))
    assert len(result.rounds()[0]) == after
    assert result.experiment().finished_at is None
    carry_out_all(result, result.experiment(), second)
    assert on_disk(result) == on_disk(whole)
    assert summarise(result).verdicts == summarise(whole).verdicts
    assert not [order for order in second.orders if order.rival is None]
    asked = first.rounds + second.rounds
    assert len(asked) == len(set(asked)) == len(whole.rounds()[0])


def test_a_round_that_was_cut_short_is_measured_anew(tmp_path: Path) -> None:
    stopped = replace(CONDUCTS["async"], in_pairs=Conduct(448.0, faults={2: Interrupted("interrupted by SIGTERM")}))
    result, experiment = new_result(tmp_path / "r", suite_of())
    with pytest.raises(Interrupted):
        carry_out_all(result, experiment, PairBench(CONDUCTS | {"async": stopped}))
    folder = result.round_folder("sync", "async", 2)
    (folder / "samples.arrow").write_bytes(b"half a batch")
    assert [each.number for each in result.rounds()[0]] == [1]
    carry_out_all(result, result.experiment(), PairBench(CONDUCTS))
    assert not (folder / "samples.arrow").exists()
    assert [each.number for each in result.rounds()[0]] == list(range(1, len(result.rounds()[0]) + 1))
    assert verdict_on(result).pairing == "slices"


def test_the_command_resumes_an_interrupted_escalation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, experiment = new_result(tmp_path / "r", suite_of())
    with pytest.raises(Crash):
        carry_out_all(result, experiment, PairBench(CONDUCTS), Cut(1, Crash()))
    with on_fakes(PairBench(CONDUCTS)) as bench:
        assert run(resume=result.path) == 0
    assert [number for *_, number in bench.rounds] == [2, 3]
    printed = capsys.readouterr().out
    assert "slices #2: async ÷ sync: requests/s ×1.1" in printed
    assert "slices #1" not in printed
    assert result.experiment().finished_at is not None


def test_what_is_finished_is_not_escalated_again(tmp_path: Path) -> None:
    result, _ = escalated(tmp_path, slices_max=2)
    before = on_disk(result)
    bench = PairBench(CONDUCTS)
    carry_out_all(result, result.experiment(), bench)
    assert not bench.orders
    assert on_disk(result) == before


def test_what_is_worth_slices_is_found_on_disk_each_pair_once(tmp_path: Path) -> None:
    result, experiment = new_result(tmp_path / "r", suite_of(THREE))
    with pytest.raises(Crash):
        carry_out_all(result, experiment, PairBench(CONDUCTS | SLOWER), Cut(1, Crash()))
    found = undecided(result)
    names = sorted((pair.baseline.case_id, pair.candidate.case_id) for pair, _ in found)
    assert names == [("sync", "async"), ("sync", "to_thread")]
    assert all(cost_s > 0 for _, cost_s in found)


def test_an_experiment_and_its_twin_give_the_same_rounds(tmp_path: Path) -> None:
    def given(folder: Path, seed: int) -> list[dict[str, Any]]:
        result, experiment = new_result(folder / "r", suite_of())
        assert isinstance(experiment, Experiment)
        carry_out_all(result, experiment.model_copy(update={"seed": seed}), PairBench(CONDUCTS))
        return on_disk(result)

    assert given(tmp_path / "a", 1) == given(tmp_path / "b", 1)
    assert given(tmp_path / "a", 1) != given(tmp_path / "c", 2)
