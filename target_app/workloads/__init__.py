"""Every workload there is. To add one: write its file, add its line here."""

from typing import Any

from target_app.workload import Workload
from target_app.workloads import cpu, json_, noop, sleep, sqlite

WORKLOADS: dict[str, Workload[Any]] = {
    "noop": noop.WORKLOAD,
    "sleep": sleep.WORKLOAD,
    "cpu": cpu.WORKLOAD,
    "sqlite": sqlite.WORKLOAD,
    "json": json_.WORKLOAD,
}
