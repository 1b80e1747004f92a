"""The cost of the probe, measured on a fake bench."""

from contextlib import nullcontext

import pytest
from support.fake_pairs import PairBench, on_fakes
from support.fakes import Conduct

from loopwise.calibrate import probe_cost
from loopwise.errors import RunError


@pytest.mark.parametrize(("share", "status"), [(1.0, 0), (0.9, 1)])
def test_it_fails_if_the_whole_interval_is_below_the_target(
    share: float, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = {"sqlite-sync-without-probe": 1000.0, "sqlite-sync-with-probe": 1000.0 * share}
    bench = PairBench({name: Conduct(rate_rps, noise_ratio=0.001) for name, rate_rps in rates.items()})
    monkeypatch.setattr(probe_cost, "generators", lambda _: nullcontext(bench))
    with on_fakes(bench):
        assert probe_cost.main(["--rounds", "3", "--mode", "sync", "--workload", "sqlite"]) == status
    *rounds, throughput, cpu, _ = capsys.readouterr().out.splitlines()
    assert len(rounds) == len(bench.rounds) == 3
    assert cpu.startswith("CPU per request with ÷ without the probe, sqlite/sync: ")
    assert throughput.startswith(f"throughput with ÷ without the probe, sqlite/sync: {share:.2f}"[:-1])
    assert {order.rival.slices for order in bench.orders if order.rival} == {16}


def test_a_round_that_cannot_be_measured_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = PairBench({"noop-async-with-probe": Conduct(in_pairs=Conduct(is_windowless=True))})
    monkeypatch.setattr(probe_cost, "generators", lambda _: nullcontext(bench))
    with on_fakes(bench), pytest.raises(RunError, match="round 1: failed: the generator ended"):
        probe_cost.main([])
