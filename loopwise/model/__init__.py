"""The nouns. Frozen, validated, and free of any other module of ours.

What is written to disk (`experiment.json`, `run.json`) is these classes as JSON; docs/schema.md explains each field.
"""

from loopwise.model.base import SCHEMA_VERSION, Noun
from loopwise.model.run import (
    TOTAL,
    VICTIM,
    Cause,
    CauseName,
    Check,
    Experiment,
    PlannedRun,
    Run,
    RunState,
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
    ServerName,
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
    "CauseName",
    "Check",
    "Comparison",
    "Cost",
    "Endpoint",
    "Estimate",
    "Experiment",
    "Generator",
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
    "ServerName",
    "Side",
    "SideName",
    "Suite",
    "Verdict",
    "Window",
    "Worker",
]
