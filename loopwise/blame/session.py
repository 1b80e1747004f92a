"""A blame pass: serve each app behind the probe, send a bounded number of requests, collect the findings."""

import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pyarrow import parquet

from loopwise.blame.findings import Findings, Load, Unanswered, blamed_lines, many_short, short_calls
from loopwise.blame.requests import CONCURRENCY, FIRST, Attempts, Client
from loopwise.blame.watched import Place, ProbeReport, Spot, Tally, merge, read_reports, stuck_place
from loopwise.errors import ServerError
from loopwise.generator.client import generators
from loopwise.generator.protocol import Order
from loopwise.model import App, Case, Endpoint, ServerFacts
from loopwise.paths import target_app_dir
from loopwise.results.folder import STREAM, seal_samples
from loopwise.servers import lifecycle
from loopwise.servers.environment import environment
from loopwise.servers.preparation import prepare
from loopwise.servers.processes import READY_PATH
from loopwise.servers.services import Services, refuse_missing
from loopwise.servers.target import calibration

SCENARIO_S = 5.0
"""Time for which a Locust file is run."""
FACTORY_ARGS = "LOOPWISE_FACTORY_ARGS"
"""Not passed on: the server has it in its own environment, with the paths of copies filled in."""
DEATH_S = 0.2
"""Time given to a server whose answers fail: it may be about to end."""


@dataclass(frozen=True)
class Settings:
    """Options of a pass."""

    loop: str | None = None
    """None: as the case says."""
    requests: int = 20
    threshold_ms: float = 5.0
    timeout_s: float = 10.0
    idle_s: float = 0.0
    """Time for which the loop is watched without requests, for background tasks."""


@dataclass
class Observation:
    """The outcome of serving one case's app."""

    reports: list[ProbeReport] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    answers: dict[str, dict[str, int]] = field(default_factory=dict)
    unanswered: list[Unanswered] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """The probe's key of an endpoint -> its name."""
    stuck: list[tuple[str, Place, float]] = field(default_factory=list)
    """Endpoint's key, line and seconds for which C code kept the loop and the GIL."""
    loop: str = ""
    note: str = ""
    """Why the server ran on asyncio's loop where it prefers uvloop; or empty."""

    def findings(self, idle_s: float) -> Findings:
        """Turn the probe's reports into findings."""
        tallies = {
            key: tally for key, tally in merge(self.reports).items() if not key.startswith(FIRST) or key in self.names
        }
        for key, place, held_s in self.stuck:
            held_ns = round(held_s * 1e9)
            spot = Spot(**place._asdict(), is_app=True, total_ns=held_ns, longest_ns=held_ns, times=1)
            tallies[key] = Tally(held_ns=held_ns, spots=[spot])
        requests = {load.endpoint: load.requests for load in self.loads}
        watched_s = sum(report.watched_s for report in self.reports)
        return Findings(
            lines=blamed_lines(tallies, self.names),
            short_calls=short_calls(tallies, self.names),
            many_short=many_short(tallies, self.names, requests, watched_s),
            unanswered=self.unanswered,
            asked=self.loads,
            idle_s=idle_s,
            answers=self.answers,
            loops=[self.loop],
            notes=[self.note] if self.note else [],
        )


def blame(cases: Sequence[Case], settings: Settings) -> Findings:
    """Observe every case, one after the other.

    Raises:
        ServerError: an app can't be served behind the probe.
    """
    calibrated = calibration(cases)
    refuse_missing({need for case in cases for need in case.needs})
    merged = Findings(idle_s=settings.idle_s)
    with (
        tempfile.TemporaryDirectory(prefix="loopwise-") as folder,
        Services(Path(folder)) as services,
    ):
        for case in cases:
            with services.during(case.needs, "blame") as variables:
                pass_ = Pass(case, settings, calibrated, variables)
                seen = pass_.scenario() if case.scenario else pass_.endpoints()
            merged = merged.joined(seen.findings(settings.idle_s))
    return merged


class Pass:
    """Observes one case's app.

    Args:
        case: what to serve.
        settings: options.
        calibration: Experiment.calibration.
        services: environment variables with the addresses of services.
    """

    def __init__(
        self, case: Case, settings: Settings, calibration: Mapping[str, float], services: Mapping[str, str]
    ) -> None:
        assert case.server is not None
        # The timed runs' probe stays off: it would be one more thread that wants the GIL.
        changes: dict[str, object] = {"probe": False, "workers": 1}
        if settings.loop is not None:
            changes["loop"] = settings.loop
        self.case = case.model_copy(update={"server": case.server.model_copy(update=changes)})
        self.settings = settings
        self.timeout_s = min(settings.timeout_s, case.load.timeout_s)
        self.seen = Observation()
        self.calibration = calibration
        self._services = services
        self._values: dict[str, Any] = {}

    def scenario(self) -> Observation:
        """Let the case's Locust file make the requests, for a few seconds and with a few users."""
        assert self.case.scenario is not None
        with self._served() as watched:
            load = self.case.load.model_copy(
                update={"users": min(self.case.load.users, CONCURRENCY), "warmup_s": 0.0, "measure_s": SCENARIO_S}
            )
            order = Order(
                url=watched.url, scenario=self.case.scenario, load=load, samples=str(watched.scratch / STREAM)
            )
            with generators(watched.scratch / "generator.log") as pool:
                pool.run(order, lambda _: None)
            seal_samples(watched.scratch)
            self._count_rows(watched.scratch)
            self._idle(watched)
        return self.seen

    def endpoints(self) -> Observation:
        """Request the case's endpoints; the server is started again if one of them holds it or ends it."""
        waiting = [*enumerate(self.case.endpoints)]
        while waiting:
            with self._served() as watched:
                is_usable = True
                while waiting and is_usable:
                    is_usable = self._ask(watched, *waiting.pop(0))
                if is_usable:
                    self._idle(watched)
        return self.seen

    def _ask(self, watched: "Watched", number: int, endpoint: Endpoint) -> bool:
        """Ask one endpoint; whether the server can be asked another one."""
        attempts = Client(watched.url, self.timeout_s, self._values).ask(
            endpoint, number, self.settings.requests, lambda: watched.exit_status() is None
        )
        name = endpoint.name
        self.seen.names[str(number)] = name
        self.seen.loads.append(
            Load(
                endpoint=name,
                requests=max(1, len(attempts.counted)),
                seconds=attempts.seconds,
                expect_status=endpoint.expect_status,
            )
        )
        self.seen.answers[name] = attempts.outcomes
        if not attempts.counted:
            self.seen.names[f"{FIRST}{number}"] = name
        if attempts.given_up is None:
            return True
        return self._explain(watched, number, endpoint, attempts)

    def _explain(self, watched: "Watched", number: int, endpoint: Endpoint, attempts: Attempts) -> bool:
        """Note why an endpoint was given up, and where it stood then; whether the server can go on."""
        assert attempts.given_up is not None
        status = watched.exit_status()
        outcome: Literal["no_answer", "no_end", "server_ended"] = "server_ended"
        is_free = False
        if status is None:
            outcome = "no_answer" if attempts.given_up.status is None else "no_end"
            is_free = Client(watched.url, self.timeout_s).is_free(READY_PATH)
        reports = read_reports(watched.folder, fresh=status is None)
        key = str(number) if attempts.counted else f"{FIRST}{number}"
        place = None if is_free else stuck_place(watched.folder, reports, watched.app_dir)
        if place is not None:
            self.seen.stuck.append((key, place, self.timeout_s))
        elif is_free:
            place = next((Place(*line) for each in reports for line in each.waits.get(key, ())), None)
        else:
            spots = merge(reports).get(key, Tally()).spots
            worst = max(spots, key=lambda spot: spot.longest_ns, default=None)
            place = None if worst is None else Place(worst.path, worst.line)
        self.seen.unanswered.append(
            Unanswered(
                endpoint=endpoint.name,
                outcome=outcome,
                after_s=self.timeout_s,
                requests=len(attempts.counted),
                holds_loop=status is None and not is_free,
                path=place and place.path,
                line=place and place.line,
                exit_status=status,
            )
        )
        if not is_free:
            watched.kill()
        return is_free

    def _idle(self, watched: "Watched") -> None:
        """Go on watching without requests."""
        deadline_s = time.monotonic() + self.settings.idle_s
        while time.monotonic() < deadline_s and watched.process.poll() is None:
            time.sleep(min(0.1, max(0.0, deadline_s - time.monotonic())))

    def _count_rows(self, folder: Path) -> None:
        """Note what a Locust file asked."""
        rows = parquet.read_table(folder / "samples.parquet", columns=["endpoint", "status", "error"])
        for row in rows.to_pylist():
            counts = self.seen.answers.setdefault(row["endpoint"], {})
            status = row["error"] or str(row["status"])
            counts[status] = counts.get(status, 0) + 1
        self.seen.loads += [
            Load(endpoint=name, requests=sum(counts.values()), seconds=SCENARIO_S)
            for name, counts in self.seen.answers.items()
        ]

    @contextmanager
    def _served(self) -> Iterator["Watched"]:
        """Serve the app behind the probe; its findings are kept at the end, however it ends."""
        with tempfile.TemporaryDirectory(prefix="loopwise-") as name:
            scratch = Path(name)
            app_dir = _install_probe(scratch, self.case, self.settings, self.calibration)
            own = dict(self.case.app) if self.case.app else {"python": sys.executable}
            app = App.model_validate({**own, "target": "loopwise_blame.probe:app", "app_dir": app_dir})
            prepare([self.case], 1, scratch / "server.log")
            probed = self.case.model_copy(update={"app": app, "endpoints": ()})
            with lifecycle.serve(
                probed,
                scratch=scratch,
                log=scratch / "server.log",
                calibration=self.calibration,
                services=self._services,
            ) as running:
                assert running.process is not None
                watched = Watched(running.url, running.process, scratch, Path(app_dir).resolve())
                yield watched
                self.seen.reports += read_reports(watched.folder, fresh=watched.process.poll() is None)
                self.seen.loop, self.seen.note = _loop(running.facts, self.settings.loop, app.python)


@dataclass(frozen=True)
class Watched:
    """A server behind the probe."""

    url: str
    process: subprocess.Popen[str]
    scratch: Path
    app_dir: Path

    @property
    def folder(self) -> Path:
        """Where the probe writes its findings."""
        return self.scratch / "loopwise_blame"

    def kill(self) -> None:
        """End a server that is held: it could not shut down in an orderly way."""
        self.process.kill()
        self.process.wait()

    def exit_status(self) -> int | None:
        """The exit status of a server that has ended, or is about to; None: it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(DEATH_S)
        return None


def _loop(facts: ServerFacts, wanted: str | None, python: str) -> tuple[str, str]:
    """The loop that was observed, and a note; uvicorn takes uvloop by itself where that is installed."""
    loop = (facts.loop or "").partition(".")[0]
    if wanted not in {None, "auto"} or loop != "asyncio" or "uvloop" in facts.versions:
        return loop, ""
    return loop, (
        f"observed on asyncio's loop, since {python} has no uvloop; that is no fault: "
        "lines that block one loop block the other"
    )


def _install_probe(scratch: Path, case: Case, settings: Settings, calibration: Mapping[str, float]) -> str:
    """Put probe, aiocop and configuration where the app's interpreter finds them; returns the app's folder."""
    env = environment(case, scratch, calibration)
    without_cache = shutil.ignore_patterns("__pycache__")
    probe = scratch / "loopwise_blame"
    shutil.copytree(target_app_dir() / "target_app" / "blame", probe, ignore=without_cache)
    spec = importlib.util.find_spec("aiocop")
    if spec is None or spec.origin is None:
        raise ServerError("blame needs the package aiocop beside Loopwise; install Loopwise again")
    shutil.copytree(Path(spec.origin).parent, scratch / "aiocop", ignore=without_cache)
    metadata = scratch / f"aiocop-{importlib.metadata.version('aiocop')}.dist-info"
    metadata.mkdir()  # aiocop reads its own version as it is imported
    text = importlib.metadata.distribution("aiocop").read_text("METADATA") or ""
    (metadata / "METADATA").write_text(text, encoding="utf-8")
    config = {
        "target": env["LOOPWISE_APP"],
        "app_dir": env["LOOPWISE_APP_DIR"],
        "environ": {
            name: value for name, value in env.items() if name.startswith("LOOPWISE_") and name != FACTORY_ARGS
        },
        "threshold_ms": settings.threshold_ms,
    }
    (probe / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return env["LOOPWISE_APP_DIR"]
