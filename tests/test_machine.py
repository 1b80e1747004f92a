"""The machine's description, clock and condition."""

import resource
from pathlib import Path

import pytest

from loopwise import machine


def test_description_has_machine_and_versions() -> None:
    found = machine.describe(["uvicorn"])
    assert found["cores"] == machine.cores() >= 1
    assert found["cpu_model"]
    assert found["memory_gb"] > 0
    assert {"loopwise", "fastapi", "uvicorn", "locust"} <= set(found["versions"])
    clock = machine.cpu_clock()
    assert clock.total_s >= clock.busy_s > 0
    assert 0.0 <= machine.steal_ratio(0.0) <= 1.0


BEFORE = machine.Condition(2, 100.0, 5.0, 3000.0, 10.0)


def test_changes_are_differences_of_two_conditions() -> None:
    after = machine.Condition(1, 101.5, 5.2, 2400.0, 12.0)
    assert machine.changes(BEFORE, after) == pytest.approx(
        {
            "processes_cpu_s": 1.5,
            "harness_cpu_s": 0.2,
            "cores_before": 2,
            "cores_after": 1,
            "frequency_ratio": 0.8,
            "swapped_mb": 2.0,
        }
    )
    untold = BEFORE._replace(frequency_mhz=None, swapped_mb=None)
    assert {"frequency_ratio", "swapped_mb"}.isdisjoint(machine.changes(untold, untold))


def test_condition_is_that_of_this_machine() -> None:
    found = machine.condition()
    assert found.cores == machine.cores()
    assert found.processes_s >= found.harness_s > 0


def test_frequency_is_the_fastest_cores_or_unknown(tmp_path: Path) -> None:
    assert machine.frequency_mhz(tmp_path) is None
    for core, khz in enumerate(("1800000", "2900000", "no number")):
        (tmp_path / f"cpu{core}" / "cpufreq").mkdir(parents=True)
        (tmp_path / f"cpu{core}" / "cpufreq" / "scaling_cur_freq").write_text(khz + "\n")
    assert machine.frequency_mhz(tmp_path) == 2900.0


def test_swapped_counts_both_directions_or_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "vmstat"
    assert machine.swapped_mb(path) is None
    path.write_text("nr_free_pages 5\n")
    assert machine.swapped_mb(path) is None
    pages = 2**20 // resource.getpagesize()
    path.write_text(f"pgpgin 9\npswpin {pages}\npswpout {2 * pages}\n")
    assert machine.swapped_mb(path) == 3.0
