"""The charts that matter, chosen by what the cases of a result differ in."""

from collections.abc import Sequence

import pytest
from support.fakes import case_of
from support.report import fixture_summary, summary_of

from loopwise.model import Case, Load, Server
from loopwise.report.charts.choice import MOST, RULES, choose
from loopwise.report.charts.specs import CHARTS

ALL = [name for name in CHARTS if name not in {"forest", "rate"}]
"""What most results have: those of a duel and of several rates are missing."""
MODES = tuple(case_of(mode, mode) for mode in ("sync", "async"))
WORKERS = tuple(case_of(f"w{count}", "sync", server=Server(workers=count)) for count in (1, 2))
USERS = tuple(case_of(f"u{users}", "sync", load=Load(users=users)) for users in (9, 200))
SERVERS = tuple(case_of(name, "sync", server=Server(name=name)) for name in ("uvicorn", "gunicorn"))
RATES = tuple(case_of(f"r{rate}", "sync", load=Load(model="open", rate_rps=rate)) for rate in (50, 90))


@pytest.mark.parametrize(
    ("cases", "available", "wanted"),
    [
        (MODES, ALL, ["throughput", "percentiles", "victim", "plane"]),
        (WORKERS, ALL, ["throughput", "workers", "percentiles", "victim"]),
        (USERS, ALL, ["throughput", "heatmap", "percentiles", "victim"]),
        (SERVERS, ALL, ["throughput", "heatmap", "percentiles", "victim"]),
        (RATES, list(CHARTS), ["forest", "rate", "throughput", "heatmap"]),
        (MODES[:1], ALL, ["victim", "histogram", "timeline", "distribution"]),
        (MODES, ["checks", "throughput"], ["throughput"]),
    ],
    ids=["modes", "workers", "users", "servers", "rates", "one case", "few charts"],
)
def test_the_charts_follow_from_what_varies(cases: Sequence[Case], available: list[str], wanted: list[str]) -> None:
    assert choose(summary_of(tuple(cases)), available) == wanted


def test_quick_has_the_four_that_decide() -> None:
    assert choose(fixture_summary(20), ALL) == ["throughput", "workers", "percentiles", "victim"]


def test_rules_name_charts_that_exist_and_captions_have_one_line() -> None:
    assert {rule.chart for rule in RULES} <= set(CHARTS)
    assert MOST == 4
    assert [chart.name for chart in CHARTS.values() if len(chart.explanation) > 118] == []
