"""The answer in one sentence per subject."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from support.answers import ASYNC, CLOSE, FAST, LOAD, SLOW, SYNC, THREAD, answers, figures_of, verdict_of
from support.fakes import case_of, experiment_of, suite_with

from loopwise.analysis.conclusions import answer_all
from loopwise.model import App, Comparison, Endpoint, Load, Server

FEW, MANY = Server(workers=1), Server(workers=2)


def test_the_best_is_named_with_interval_baseline_and_reason() -> None:
    found = answers(suite_with(SYNC, ASYNC), {"sync": SLOW, "async": FAST}, [("sync", "async")])
    assert found == [
        "sleep(ms=50): async serves 1,610 [1,585, 1,635] requests/s, 2.04 times [2.01, 2.06] those of sync, "
        "because sync waits for its 40 threads."
    ]


def told_with(causes: Mapping[str, str], sync: Sequence[float], *, is_paired: bool) -> str:
    values = {"sync": sync, "async": FAST}
    suite = suite_with(SYNC, ASYNC)
    cases = {case.case_id: figures_of(case, values[case.case_id]) for case in suite.cases}
    verdicts = (verdict_of(cases, "sync", "async", values),) if is_paired else ()
    (found,) = answer_all(experiment_of(suite), cases, verdicts, causes)
    return found


def test_without_a_bound_the_first_cause_explains_the_slower_case() -> None:
    causes = {"sync": "event loop blocked 99 % of the window", "async": "CPU saturated"}
    far_below = (300.0, 301.0, 302.0)
    found = told_with(causes, far_below, is_paired=True)
    assert found.endswith(" those of sync (sync: event loop blocked 99 % of the window).")
    found = told_with(causes, far_below, is_paired=False)
    assert found.endswith("; the slowest, sync, 301 [299, 303] requests/s (event loop blocked 99 % of the window).")
    assert "because sync waits for its 40 threads" in told_with(causes, SLOW, is_paired=True)
    assert "(" not in told_with({}, far_below, is_paired=True).partition("those of")[2]


def test_equals_are_named_beside_each_other() -> None:
    suite = suite_with(SYNC, ASYNC, THREAD)
    (found,) = answers(suite, {"sync": SLOW, "async": FAST, "to_thread": CLOSE})
    assert "(and so does async, within ±5 %)" in found
    assert found.endswith("; the slowest, sync, 791 [789, 793] requests/s.")


def test_an_equal_with_more_workers_is_named_among_the_others() -> None:
    process, rival = (
        case_of(f"{mode}-w{server.workers}", mode, server=server, load=LOAD)
        for mode, server in (("process", FEW), ("blocking", MANY))
    )
    values = {"process-w1": FAST, "blocking-w2": CLOSE, "sync": SLOW}
    (found,) = answers(suite_with(SYNC, process, rival), values)
    assert "process with 1 worker serves 1,610" in found
    assert "(and so does blocking with 2 workers, within ±5 %)" in found
    (found,) = answers(suite_with(process, rival, ASYNC), {**values, "async": FAST})
    assert re.search(r"\(and so do [^()]* and [^()]*, within ±5 %\)", found)


def test_among_equals_the_fewest_workers_win() -> None:
    suite = suite_with(*(case_of(f"w{s.workers}", "async", server=s, load=LOAD) for s in (FEW, MANY)))
    (found,) = answers(suite, {"w1": FAST, "w2": CLOSE})
    assert found.startswith("sleep(ms=50): async with 1 worker serves 1,610")
    assert "(and so does async with 2 workers, within ±5 %)" in found
    assert "Not told apart" not in found
    (found,) = answers(suite, {"w1": SLOW, "w2": FAST})
    assert found.startswith("sleep(ms=50): async with 2 workers serves 1,610")


def test_an_undecided_comparison_says_that_it_does_not_decide() -> None:
    values = {"sync": (500.0, 900.0, 700.0), "async": (1000.0, 800.0, 900.0)}
    (found,) = answers(suite_with(SYNC, ASYNC), values, [("sync", "async")])
    assert "which does not decide it" in found


def test_cases_without_a_valid_run_are_counted_and_never_best() -> None:
    suite = suite_with(SYNC, ASYNC)
    (found,) = answers(suite, {"sync": SLOW, "async": ()})
    assert found.startswith("sleep(ms=50): sync serves")
    assert found.endswith("1 of 2 cases have no valid run.")
    assert answers(suite, {"sync": (), "async": ()}) == [
        "sleep(ms=50): no valid measurement (users: 9 of 10 users ran)."
    ]
    assert answers(suite, {"sync": (0.0, 0.0), "async": ()}) == [
        "sleep(ms=50): no valid measurement (not measured yet)."
    ]


def test_one_replicate_has_no_interval_to_show() -> None:
    (found,) = answers(suite_with(SYNC), {"sync": (790.0,)})
    assert found == "sleep(ms=50): sync serves 790 requests/s."


def test_subjects_servers_and_loads_are_answered_in_suite_order() -> None:
    gunicorn = Server(name="gunicorn")
    suite = suite_with(
        case_of("1", "sync", load=LOAD),
        case_of("2", "sync", load=LOAD, server=gunicorn),
        case_of("3", "sync", load=Load(users=9)),
        case_of("4", "async", load=LOAD),
    )
    found = answers(suite, {"1": SLOW, "2": SLOW, "3": SLOW, "4": FAST})
    assert [answer.partition(":")[0] for answer in found] == [
        "sleep(ms=50) under uvicorn at 200 users",
        "sleep(ms=50) under gunicorn at 200 users",
        "sleep(ms=50) under uvicorn at 9 users",
    ]


@pytest.mark.parametrize(
    ("baseline", "other", "words"),
    [
        ({"server": "uvicorn"}, {"server": Server(name="gunicorn")}, "those of sync under uvicorn"),
        ({"users": 200}, {"load": Load(users=900)}, "those of sync at 200 users"),
        ({"params.ms": 50}, {"params": {"ms": 5}}, "those of sleep(ms=50)"),
    ],
)
def test_a_baseline_is_named_by_the_factor_that_differs(
    baseline: dict[str, object], other: dict[str, object], words: str
) -> None:
    suite = suite_with(
        case_of("base", "sync", load=LOAD),
        case_of("other", "sync", **({"load": LOAD} | other)),
        compare=Comparison(baseline=baseline),
    )
    found = answers(suite, {"base": SLOW, "other": FAST}, [("base", "other")])
    assert len(found) == 2
    assert words in found[1]


def test_an_app_of_ones_own_is_called_the_app() -> None:
    options: dict[str, Any] = {"workload": "GET /items", "params": {}, "cost": None}
    suite = suite_with(
        *(case_of(f"w{each.workers}", "own", server=each, **options) for each in (FEW, MANY)),
        case_of("u", "own", server=None, url="http://127.0.0.1:9", **(options | {"workload": "GET /"})),
    )
    found = answers(suite, {"w1": SLOW, "w2": FAST, "u": SLOW})
    assert found[0].startswith("GET /items: the app with 2 workers serves 1,610")
    assert found[0].endswith("; the slowest, the app on 1 worker, 791 [789, 793] requests/s.")
    assert found[1] == "GET /: the app serves 791 [789, 793] requests/s."


def test_an_answer_names_features_where_only_they_differ() -> None:
    plain, dressed = (
        case_of(name, "sync", load=LOAD, features=features) for name, features in (("a", ""), ("b", "response_model"))
    )
    (found,) = answers(suite_with(plain, dressed), {"a": FAST, "b": SLOW})
    assert found.startswith("sleep(ms=50): sync (plain) serves 1,610")
    assert "the slowest, sync with response_model, 791" in found
    (found,) = answers(suite_with(plain, dressed), {"a": FAST, "b": CLOSE})
    assert "(and so does sync (" in found


def test_cases_that_nothing_tells_apart_are_called_by_their_id() -> None:
    twins = [case_of(name, "sync", load=LOAD) for name in ("first", "second")]
    (found,) = answers(suite_with(*twins), {"first": FAST, "second": SLOW})
    assert found.startswith("sleep(ms=50): sync (first) serves")


def test_an_endpoint_that_is_better_in_another_mode_is_set_against_the_app_as_written() -> None:
    app = App(target="shop:app", app_dir="/srv", python="/srv/python")
    options: dict[str, Any] = {"app": app, "workload": "GET /x", "params": {}, "cost": None, "load": LOAD}
    written, moded = (case_of(mode, mode, endpoints=(Endpoint(path="/x"),), **options) for mode in ("own", "sync"))
    (found,) = answers(suite_with(written, moded), {"own": SLOW, "sync": FAST}, [("own", "sync")])
    assert found == (
        "GET /x: sync serves 1,610 [1,585, 1,635] requests/s, 2.04 times [2.01, 2.06] those of the app as written."
    )
    (found,) = answers(suite_with(written, moded), {"own": FAST, "sync": SLOW}, [("own", "sync")])
    assert found.startswith("GET /x: the app as written serves 1,610 ")
