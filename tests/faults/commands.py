"""Commands that faults are done to, and the phases in which they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from faults.place import Place

SERVER = "loopwise.servers.startup:wait_ready"
NOTE = "loopwise.measure.testbed:Recording.note"
SEAL = "loopwise.results.folder:seal_samples"
READ = "loopwise.analysis.summary:summarise"
MEASURING = {
    "plan": "loopwise.measure.experiment:design",
    "generator starts": "loopwise.generator.client:Generators.warm_up",
    "server starts": SERVER,
    "load begins": "loopwise.measure.testbed:Recording.start",
    "window": f"{NOTE}@window_opened",
    "drain": f"{NOTE}@window_closed",
    "recording": SEAL,
    "run closes": "loopwise.results.folder:ResultFolder.write_run",
}
REPORTING = {
    "reading": READ,
    "tables": "loopwise.report.build:write_tables",
    "charts": "loopwise.report.charts.specs:save",
    "page": "loopwise.report.html.report:write_report",
}
SHORT = [
    *("--set", "load.warmup_s=0.2", "--set", "load.measure_s=0.4", "--set", "replicates.min=2"),
    *("--set", "replicates.max=2", "--set", "replicates.repeats=0", "--set", "compare.slices_max=0"),
]
"""Options of `try`."""


@dataclass(frozen=True)
class Command:
    """A command line, and where it can be met."""

    line: Callable[[Place], list[str]]
    phases: Mapping[str, str]
    """Name -> hook of announcing.py."""
    is_resumable: bool = False
    """Its result is gone on with by `run --resume`."""
    is_quick: bool = True
    """It can be carried out again to its end after a fault."""

    @property
    def nth(self) -> Mapping[str, int]:
        """Phases that are met at their second occurrence: something is kept then."""
        return dict.fromkeys(("load begins", "window", "run closes"), 2) if self.is_resumable else {}


COMMANDS: dict[str, Command] = {
    "run": Command(
        lambda place: ["run", "small.toml", "--out", str(place.result)], {**MEASURING, **REPORTING}, is_resumable=True
    ),
    "run with slices": Command(
        lambda place: ["run", "sliced.toml", "--out", str(place.result)],
        {
            "slices begin": "loopwise.measure.slices:undecided",
            "slices": "loopwise.measure.pairs:_load",
            "slices recorded": "loopwise.measure.pairs:_evaluate",
            "round closes": "loopwise.results.folder:ResultFolder.write_round",
        },
        is_resumable=True,
    ),
    "try": Command(
        lambda place: [
            *("try", "plain:app", "--endpoint", "GET /", "--users", "2", "--out", str(place.result), *SHORT)
        ],
        {name: MEASURING[name] for name in ("server starts", "window", "recording")} | {"charts": REPORTING["charts"]},
        is_resumable=True,
    ),
    "duel": Command(
        lambda place: [
            *("duel", "plain:app", "plain:app", "--endpoint", "GET /", "--rounds", "2", "--seconds", "0.3"),
            *("--users", "2", "--out", str(place.result)),
        ],
        {
            "server starts": SERVER,
            "window": f"{NOTE}@window_opened",
            "recording": SEAL,
            "round closes": "loopwise.results.folder:ResultFolder.write_round",
        },
        is_quick=False,
    ),
    "advise": Command(
        lambda place: [
            *("advise", "plain:app", "--endpoint", "GET /", "--users", "2", "--budget-s", "20"),
            *("--out", str(place.result)),
        ],
        {
            "server starts": SERVER,
            "window": f"{NOTE}@window_opened",
            "recording": SEAL,
            "page": "loopwise.advise.page:write_page",
        },
        is_quick=False,
    ),
    "init": Command(
        lambda place: ["init", str(place.data / "fresh"), "--app", "plain:app"],
        {"import of the app": "loopwise.suite.own_app:_ask", "writing": "loopwise.suite.scaffold:_endpoint_lines"},
    ),
    "blame": Command(
        lambda _: ["blame", "plain:app", "--endpoint", "GET /", "--requests", "2"],
        {"server starts": SERVER, "requests": "loopwise.blame.session:Pass._ask"},
    ),
    "check --ask": Command(
        lambda _: ["check", "small.toml", "--ask"],
        {"reading": "loopwise.suite.file:read_suite", "server starts": SERVER},
    ),
    "report": Command(
        lambda place: ["report", str(place.finished), "--export", "csv,json"],
        {**REPORTING, "exports": "loopwise.report.export.formats:export"},
    ),
    "compare": Command(
        lambda place: ["compare", *[str(place.finished)] * 2, "--out", str(place.data / "compared")],
        {"reading": READ, "charts": "loopwise.report.html.compare:write_comparison"},
    ),
    "calibrate": Command(
        lambda place: ["calibrate", "--quick", "--seconds", "0.1", "--out", str(place.result)],
        {
            "static server starts": "loopwise.calibrate.bench:_wait_ready",
            "load": "loopwise.calibrate.bench:Bench.generate",
        },
        is_quick=False,
    ),
    "selftest": Command(
        lambda place: [
            *("selftest", "--pairs", "1", "--repeats", "0", "--duels", "0", "--seconds", "0.3"),
            *("--out", str(place.result)),
        ],
        {"server starts": SERVER, "window": f"{NOTE}@window_opened"},
        is_quick=False,
    ),
    "claims run": Command(
        lambda place: ["claims", "run", "C01", "--out", str(place.result)],
        {"server starts": SERVER, "window": f"{NOTE}@window_opened", "recording": SEAL},
        is_quick=False,
    ),
    "list": Command(lambda _: ["list", "results"], {"reading": "loopwise.report.listing:result_rows"}),
    "doctor": Command(lambda _: ["doctor"], {"reading": "loopwise.calibrate.doctor:diagnose"}),
}
"""By the name that the document gives them."""
