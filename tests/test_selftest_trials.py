"""The selftest: which pairs it measures, what blocks, slices and duels make of them, and how rates are told."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.fake_pairs import PairBench, on_fakes
from support.fakes import Conduct
from support.suite import FakeTarget

from loopwise import cli
from loopwise.errors import Interrupted, ServerError
from loopwise.results.folder import ResultFolder
from loopwise.selftest import rates
from loopwise.selftest.rates import Outcome
from loopwise.selftest.trials import (
    BLOCKS,
    CPU,
    DIFFERENCES,
    DUEL,
    DUEL_DIFFERENCE,
    EQUAL,
    NOOP,
    SLEEP,
    UNEQUAL,
    Effort,
    Trial,
    cases_of,
    run_blocks,
    run_duels,
    trials,
)
from loopwise.suite import make_suite

DEAD = ServerError("the server ended with status 1 before it answered")
EFFORT = Effort(pairs=1, repeats=1, duels=1, replicates=3, rounds=6, measure_s=0.4)


@pytest.fixture(autouse=True)
def _target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks the real target app."""
    monkeypatch.setattr("loopwise.selftest.trials.make_suite", partial(make_suite, describe=FakeTarget()))


# Which pairs are measured.


def test_trials_are_equal_pairs_and_then_every_difference() -> None:
    found = trials(2, 1)
    equal = [trial for trial in found if not trial.difference]
    assert [(trial.subject, trial.number) for trial in equal] == [(s, n) for n in (1, 2) for s in EQUAL]
    rest = [(trial.subject.workload, trial.difference) for trial in found[len(equal) :]]
    assert rest == [(subject.workload, each) for each in DIFFERENCES for subject in UNEQUAL]
    assert len({trial.name for trial in found}) == len(found)
    assert trials(0, 0) == []
    assert {trial.difference for trial in trials(0, 1, (0.07,))} == {0.07}


# trial -> parameters of both sides
PARAMS: list[tuple[Trial, dict[str, Any], dict[str, Any]]] = [
    (Trial(NOOP, 0.0, 1), {}, {}),
    (Trial(SLEEP, 0.0, 1), {"ms": 20.0}, {"ms": 20.0}),
    (Trial(SLEEP, 0.1, 1), {"ms": 20.0}, {"ms": 22.0}),
    (Trial(CPU, 0.03, 2), {"ms": 5.0}, {"ms": 5.15}),
]


@pytest.mark.parametrize(("trial", "one", "other"), PARAMS, ids=[row[0].name for row in PARAMS])
def test_sides_of_a_trial_differ_only_in_the_injected_value(
    trial: Trial, one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = cases_of(trial, 1.5, 0.2)
    assert [first.case_id, second.case_id] == [f"{trial.name}-a", f"{trial.name}-b"]
    assert (first.params, second.params) == (one, other)
    assert first.load == second.load
    assert (first.load.users, first.load.measure_s, first.load.warmup_s) == (trial.subject.users, 1.5, 0.2)
    equal: dict[str, Any] = {"case_id": "", "params": {}, "endpoints": (), "cost": None}
    assert first.model_copy(update=equal) == second.model_copy(update=equal)
    assert (first.endpoints == second.endpoints) == (not trial.difference)


def test_names_say_workload_percent_and_number() -> None:
    assert [Trial(SLEEP, each, 3).name for each in (0.0, 0.07, 0.005)] == [
        "sleep-0-3",
        "sleep-7-3",
        "sleep-0.5-3",
    ]


# Trials on fakes.


def conducts(given: dict[str, tuple[Conduct, Conduct]]) -> dict[str, Conduct]:
    return {f"{name}-{letter}": side for name, pair in given.items() for letter, side in zip("ab", pair, strict=True)}


def clear(rps: float) -> Conduct:
    return Conduct(rps, noise_ratio=0.002)


def unclear(rps: float, **options: Any) -> Conduct:
    return Conduct(rps, noise_ratio=0.3, in_pairs=Conduct(rps, **{"noise_ratio": 0.003} | options))


ON_BLOCKS = {
    "noop-0-1": (clear(900.0), clear(900.0)),
    "sleep-20-1": (clear(600.0), clear(500.0)),
    "cpu-0-1": (unclear(500.0), unclear(500.0)),
    "sleep-10-1": (unclear(550.0), unclear(500.0)),
    "cpu-10-1": (unclear(500.0), unclear(500.0, faults=dict.fromkeys(range(1, 9), DEAD))),
}
TRIALS = [
    Trial(NOOP, 0.0, 1),
    Trial(SLEEP, 0.2, 1),
    Trial(CPU, 0.0, 1),
    Trial(SLEEP, 0.1, 1),
    Trial(CPU, 0.1, 1),
]


@pytest.fixture
def by_blocks(tmp_path: Path) -> tuple[dict[str, Outcome], PairBench, list[str]]:
    """Outcomes of TRIALS by name, the bench and what was told."""
    told: list[str] = []
    with on_fakes(PairBench(conducts(ON_BLOCKS))) as bench:
        found = run_blocks(TRIALS, EFFORT, tmp_path / "blocks", bench, seed=3, tell=told.append)
    return dict(zip((trial.name for trial in TRIALS), found, strict=True)), bench, told


def test_blocks_decide_what_they_can_and_slices_the_rest(
    by_blocks: tuple[dict[str, Outcome], PairBench, list[str]],
) -> None:
    found, bench, _ = by_blocks
    words = {name: (each.verdict.verdict, each.verdict.pairing) for name, each in found.items() if each.verdict}
    assert words == {
        "noop-0-1": ("same", "blocks"),
        "sleep-20-1": ("worse", "blocks"),
        "cpu-0-1": ("same", "slices"),
        "sleep-10-1": ("worse", "slices"),
        "cpu-10-1": ("invalid", "slices"),
    }
    rounds = {name: sum(base == f"{name}-a" for base, *_ in bench.rounds) for name in found}
    assert {name for name, count in rounds.items() if count} == {"cpu-0-1", "sleep-10-1"}
    for name, each in found.items():
        tried = 2 if name == "cpu-10-1" else rounds[name]
        assert each.rounds == EFFORT.replicates + tried <= 10
    assert {each.method for each in found.values()} == {BLOCKS}
    assert [(each.workload, each.difference) for each in found.values()] == [
        (trial.subject.workload, trial.difference) for trial in TRIALS
    ]


def test_pairs_have_verdicts_on_cpu_per_request_too(
    by_blocks: tuple[dict[str, Outcome], PairBench, list[str]],
) -> None:
    found, _, _ = by_blocks
    assert all(found[name].cpu is not None for name in ("noop-0-1", "cpu-0-1", "sleep-10-1"))
    cost = found["cpu-0-1"].cpu
    assert cost is not None
    assert cost.ratio == pytest.approx(1.0, rel=0.02)


def test_every_trial_is_told_when_it_is_decided(
    by_blocks: tuple[dict[str, Outcome], PairBench, list[str]],
) -> None:
    _, _, told = by_blocks
    assert told[0] == "5 pairs in 3 blocks"
    assert [line.partition(":")[0] for line in told[1:]] == [trial.name for trial in TRIALS]
    assert "worse (slices, " in told[4]
    assert told[5] == "cpu-10-1: not measured"


def test_duels_alternate_between_equal_and_unequal_sides(tmp_path: Path) -> None:
    sides = {
        f"cpu-{percent}-{number}": (clear(1000.0), clear(1000.0 / (1 + percent / 100)))
        for percent in (0, 3)
        for number in (1, 2)
    }
    told: list[str] = []
    with on_fakes(PairBench(conducts(sides))) as bench:
        found = run_duels(EFFORT._replace(duels=2), tmp_path / "duels", bench, seed=1, tell=told.append)
    assert [each.difference for each in found] == [0.0, DUEL_DIFFERENCE] * 2
    assert [each.verdict.verdict for each in found if each.verdict] == ["same", "worse"] * 2
    assert {each.method for each in found} == {DUEL}
    for each, name in zip(found, ("cpu-0-1", "cpu-3-1", "cpu-0-2", "cpu-3-2"), strict=True):
        assert each.rounds == len(ResultFolder(tmp_path / "duels" / name).rounds()[0]) >= 6
    assert len(told) == 4


# The command.


def selftest(monkeypatch: pytest.MonkeyPatch, line: str, bench: PairBench) -> Any:
    monkeypatch.setattr(sys, "argv", ["loopwise", "selftest", *line.split()])
    with on_fakes(bench), pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_the_command_measures_as_asked_and_writes_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = conducts(
        {
            **{f"{name}-0-1": (clear(800.0), clear(800.0)) for name in ("noop", "sleep", "cpu")},
            **{f"{name}-15-1": (clear(800.0), clear(690.0)) for name in ("sleep", "cpu")},
            "cpu-3-1": (clear(800.0), clear(776.0)),
        }
    )
    line = f"--pairs 1 --repeats 1 --duels 1 --injected 15 --seconds 0.4 --out {tmp_path / 'out'}"
    assert selftest(monkeypatch, line, PairBench(sides)) == 0
    printed = capsys.readouterr().out
    assert "5 pairs in 3 blocks" in printed
    assert "selftest.md" in printed.replace("\n", "")
    document = json.loads((tmp_path / "out" / rates.JSON).read_text())
    kinds = {(each["method"], each["workload"], each["difference"]): each for each in document["rates"]}
    assert {key for key in kinds if key[2] == 0} == {
        *((BLOCKS, name, 0.0) for name in ("all", "noop", "sleep", "cpu")),
        (DUEL, "cpu", 0.0),
    }
    assert {key: each["alarms"]["value"] for key, each in kinds.items() if key[2]} == {
        (BLOCKS, "sleep", 0.15): 1.0,
        (BLOCKS, "cpu", 0.15): 1.0,
        (DUEL, "cpu", 0.03): 1.0,
    }
    assert all(each["alarms"]["value"] == 0 for key, each in kinds.items() if not key[2])
    assert len(document["trials"]) == 7


def test_an_unmeasured_trial_ends_with_3_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = Conduct(800.0, faults=dict.fromkeys(range(1, 9), DEAD))
    bench = PairBench(conducts({"noop-0-1": (dead, dead)}))
    line = f"--pairs 1 --repeats 0 --duels 0 --seconds 0.4 --json --out {tmp_path / 'out'}"
    status = selftest(monkeypatch, line, bench)
    document = json.loads(capsys.readouterr().out)
    words = {each["workload"]: each["words"] for each in document["rates"]}
    assert words["noop"] == {"invalid": 1}
    assert status == 3


def test_an_interruption_says_what_is_kept_and_how_to_begin_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: ResultFolder) -> None:
        raise Interrupted("interrupted by SIGTERM")

    monkeypatch.setattr("loopwise.selftest.trials.summarise", interrupt)
    out, bench = tmp_path / "out", PairBench(conducts({"noop-0-1": (clear(800.0), clear(800.0))}))
    line = f"--pairs 1 --repeats 0 --duels 0 --seconds 0.4 --out {out}"
    assert selftest(monkeypatch, line, bench) == 130
    kept = len(ResultFolder(out / "blocks").runs()[0])
    assert kept > 1
    assert capsys.readouterr().err == (
        f"interrupted by SIGTERM: {kept} runs are kept, and rates need all; see them with: "
        f"loopwise report {out}/blocks; delete {out} and begin again with: loopwise selftest {line}\n"
    )
    monkeypatch.setattr(sys, "argv", ["loopwise", "report", str(out / "blocks")])
    with pytest.raises(SystemExit) as reported:
        cli.main()
    assert reported.value.code == 0


def test_an_unmeasured_duel_leaves_the_others_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = Conduct(800.0, faults=dict.fromkeys(range(1, 9), DEAD))
    sides = {"cpu-0-1": (clear(800.0), replace(dead, in_pairs=dead)), "cpu-3-1": (clear(800.0), clear(776.0))}
    line = f"--pairs 0 --repeats 0 --duels 1 --out {tmp_path / 'out'}"
    assert selftest(monkeypatch, line, PairBench(conducts(sides))) == 3
    assert "cpu-0-1: not measured" in capsys.readouterr().out
    document = json.loads((tmp_path / "out" / rates.JSON).read_text())
    assert [each["words"] for each in document["rates"]] == [{"invalid": 1}, {"worse": 1}]
    assert [each["rounds"] for each in document["trials"]] == [2, 6]


def test_a_folder_with_files_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("mine")
    bench = PairBench()
    assert selftest(monkeypatch, f"--quick --out {tmp_path}", bench) == 2
    assert "exists and is not an empty folder" in capsys.readouterr().err
    assert not bench.served
