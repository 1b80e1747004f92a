"""The table of workloads. To add one: write its file, add its line here."""

from typing import Any

from target_app.workload import Workload
from target_app.workloads import (
    cache,
    cpu,
    files,
    hash_,
    json_,
    mixed,
    noop,
    postgres,
    sleep,
    sqlite,
    upstream,
)

WORKLOADS: dict[str, Workload[Any]] = {
    "noop": noop.WORKLOAD,
    "sleep": sleep.WORKLOAD,
    "cpu": cpu.WORKLOAD,
    "sqlite": sqlite.WORKLOAD,
    "json": json_.WORKLOAD,
    "hash": hash_.WORKLOAD,
    "mixed": mixed.WORKLOAD,
    "files": files.WORKLOAD,
    "upstream": upstream.WORKLOAD,
    "cache": cache.WORKLOAD,
    "postgres": postgres.WORKLOAD,
}
