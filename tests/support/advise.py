"""Endpoints, rounds and rows of an advice, without a server."""

import re
from pathlib import Path
from typing import Any

from loopwise.advise.candidates import Candidate
from loopwise.advise.decide import Judged, Screened, judged
from loopwise.advise.diagnosis import Diagnosis
from loopwise.advise.edits import edit_candidates
from loopwise.advise.rows import AdviceRow
from loopwise.advise.subject import Subject, concluded
from loopwise.blame.edits import offer_for
from loopwise.blame.findings import BlamedLine
from loopwise.blame.watched import Site
from loopwise.model import App, Case, Cause, Endpoint, Load, Round, Run, Server, Side, Window, Worker

HELD = Cause(cause="loop_blocked", share=0.97, evidence="event loop blocked 97 % of the window")
FULL = Cause(cause="thread_pool_full", share=0.8, evidence="thread pool full 80 % of the window")
POOL = Cause(cause="dependency_pool_full", share=0.9, evidence="pool of 5 full", remedy="raise the pool above 5")
SATURATED = Cause(cause="cpu_saturated", share=1.0, evidence="1 worker computed 100 % of the window")
X = Endpoint(path="/x")


def case(path: str = "/x", **changes: Any) -> Case:
    app = App(target="shop:app", app_dir="/shop", python="/usr/bin/python3")
    made = Case(
        case_id="get" + re.sub(r"\W+", "-", path),
        workload=f"GET {path}",
        mode="own",
        server=Server(),
        app=app,
        endpoints=(Endpoint(path=path),),
        load=Load(users=10),
    )
    return made.model_copy(update=changes)


def run(*causes: Cause, cpu_s: float = 0.1, **changes: Any) -> Run:
    made = Run(
        case=case(),
        replicate=1,
        order=1,
        status="ok",
        started_at="2026-01-01T00:00:00",
        window=Window(start_ns=0, end_ns=1_000_000_000),
        workers=(Worker(pid=1, cpu_s=cpu_s),),
        causes=causes,
    )
    return made.model_copy(update=changes)


def rounds(
    *ratios: float, names: tuple[str, str] = ("get-x", "get-x-changed-1"), calm: float | None = None
) -> list[Round]:
    def side(rps: float, p99_ms: float) -> Side:
        canary = {} if calm is None else {"victim_p99_ms": p99_ms}
        return Side(metrics={"all": {"throughput_rps": rps, **canary}}, counts={"window_rows": 50})

    return [
        Round(
            pairing="slices",
            number=number,
            baseline_case=names[0],
            candidate_case=names[1],
            status="ok",
            started_at="2026-01-01T00:00:00+00:00",
            baseline=side(50.0, 1480.0),
            candidate=side(50.0 * ratio, 1480.0 / (calm or 1.0) * (1 + number / 1000)),
        )
        for number, ratio in enumerate(ratios, start=1)
    ]


SHOP = """import time

from fastapi import FastAPI

app = FastAPI()


@app.get("/x")
async def x() -> str:
    # waits
    time.sleep(0.02)
    return "x"


@app.get("/y")
async def y() -> str:
    time.sleep(0.01)
    return "y"
"""


def shop(folder: Path) -> dict[str, list[Candidate]]:
    """The candidates of two endpoints, by path, as from the lines at which `blame` finds them held."""
    (folder / "shop.py").write_text(SHOP)
    found = {}
    for path, line in (("/x", 11), ("/y", 17)):
        blamed = BlamedLine(
            endpoint=f"GET {path}",
            path=str(folder / "shop.py"),
            line=line,
            is_app=True,
            function="time.sleep",
            source="time.sleep(0.02)",
            total_ms=20,
            longest_ms=20,
            times=1,
            share=1,
            site=Site(path=str(folder / "shop.py"), line=line, function=path[1:]),
        )
        found[path] = edit_candidates(Endpoint(path=path), Diagnosis(HELD), offer_for(blamed, folder))
    return found


def seen(change: str, kind: Any, gained: float | None, calm: float | None = None) -> Screened:
    return Screened(Candidate(X, kind, change), gained, calm)


def advised() -> list[AdviceRow]:
    subject = Subject(case(), Diagnosis(HELD), 50.0)
    subject.screened = [seen("def", "mode", 6.0), seen("2 workers", "setting", 1.98)]
    subject.best = subject.screened[0]
    subject.failed = [(Candidate(X, "mode", "process pool"), "its answer (Lock) can't be pickled")]
    subject.judge(judged(rounds(6.0, 6.1, 5.9, calm=250.0))["get-x", "get-x-changed-1"], {}, "", 3)
    smaller = Subject(case("/y"), Diagnosis(FULL), 50.0, best=seen("80 threads", "setting", 1.4))
    names = ("get-y", "get-y-changed-1")
    smaller.judge(judged(rounds(1.4, 1.41, 1.4, names=names))[names], {}, "", 3)
    good = Subject(case("/good"), Diagnosis(None, 900.0), 900.0)
    late = Subject(case("/late"), Diagnosis(HELD), 50.0, out_of_time="the budget of 30 s is used up")
    return concluded([smaller, good, subject, late])


def judged_rounds(*ratios: float, calm: float | None = None) -> Judged:
    """What rounds of one change say."""
    return judged(rounds(*ratios, calm=calm))["get-x", "get-x-changed-1"]
