"""The data model: suites, cases, runs and verdicts as frozen, validated classes.

The files of a result (`experiment.json`, `run.json`, `round.json`) are these classes as JSON; docs/schema.md describes
each field. The package imports nothing else of ours.
"""

from loopwise.model.base import SCHEMA_VERSION, Noun
from loopwise.model.run import (
    TOTAL,
    VICTIM,
    Cause,
    Check,
    Experiment,
    GeneratorFigures,
    HostFigures,
    PlannedRun,
    Run,
    RunState,
    ServerFacts,
    Window,
    Worker,
)
from loopwise.model.suite import (
    LOAD_KEYS,
    App,
    Arrivals,
    Case,
    Comparison,
    Cost,
    Endpoint,
    Generator,
    Load,
    Part,
    Replicates,
    Server,
    Suite,
)
from loopwise.model.verdict import SIDES, Estimate, Pairing, Round, Side, SideName, Verdict

__all__ = [
    "LOAD_KEYS",
    "SCHEMA_VERSION",
    "SIDES",
    "TOTAL",
    "VICTIM",
    "App",
    "Arrivals",
    "Case",
    "Cause",
    "Check",
    "Comparison",
    "Cost",
    "Endpoint",
    "Estimate",
    "Experiment",
    "Generator",
    "GeneratorFigures",
    "HostFigures",
    "Load",
    "Noun",
    "Pairing",
    "Part",
    "PlannedRun",
    "Replicates",
    "Round",
    "Run",
    "RunState",
    "Server",
    "ServerFacts",
    "Side",
    "SideName",
    "Suite",
    "Verdict",
    "Window",
    "Worker",
]
