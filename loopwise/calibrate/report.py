"""Tables of a calibration, the same in the terminal and in calibration.md. Pure, but for `write`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from loopwise.calibrate.bench import CONNECTIONS, PERCENTILES
from loopwise.calibrate.records import DECLARED, Calibration, LatencyTruth
from loopwise.calibrate.targets import spread
from loopwise.errors import writing
from loopwise.report import format as fmt
from loopwise.report.export.markdown import MAX_SENTENCE, escape
from loopwise.report.terminal.screen import plain
from loopwise.report.terminal.tables import WordTable
from loopwise.results.files import write_atomically
from loopwise.visible import clean

JSON, MARKDOWN = "calibration.json", "calibration.md"
PERCENTILE_NAMES = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9"}
STYLES = {"met": "green", "not met": "bold red", "not measured": "yellow"}


class Section(NamedTuple):
    """A table with its title and a note on how to read it."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""


def sections(calibration: Calibration) -> list[Section]:
    """Make all tables that have rows, the targets first."""
    every = (_targets, _costs, _ratios, _latencies, _counts, _schedule, _missing)
    return [section for section in (make(calibration) for make in every) if section.rows]


def heading(calibration: Calibration) -> str:
    """Describe machine, server and settings in one paragraph."""
    machine, stolen = calibration.environment, fmt.share(calibration.steal_ratio)
    place = "generator and server shared one core, so absolute figures are too high"
    if calibration.server_core is not None:
        place = f"server on core {calibration.server_core}, generators on core {calibration.generator_core}"
    return (
        f"{machine.get('cpu_model')}, {machine.get('cores')} cores, {machine.get('system')}, "
        f"{machine.get('python')}; {calibration.server}; {place}; {stolen} of the CPU stolen; "
        f"{calibration.duration_s:.0f} s in all, {calibration.window_s:g} s a window, seed {calibration.seed}; "
        f"{calibration.created_at}."
    )


def tables(calibration: Calibration) -> RenderableType:
    """Render for the terminal."""
    parts: list[RenderableType] = [Text(heading(calibration), style="dim")]
    for section in sections(calibration):
        rows = [[plain(cell, STYLES.get(cell, "")) for cell in row] for row in section.rows]
        parts += [Text(), WordTable(section.columns, rows, title=section.title)]
        if section.note:
            parts.append(Text(section.note, style="dim"))
    parts += [plain(f"failed: {problem}", "bold red") for problem in calibration.problems]
    return Group(*parts)


def markdown(calibration: Calibration) -> str:
    """Render calibration.md."""
    lines = ["# Calibration of the generator", "", heading(calibration)]
    for section in sections(calibration):
        lines += ["", f"## {section.title}", "", *_markdown_table(section)]
        if section.note:
            lines += ["", section.note]
    if calibration.problems:
        lines += ["", "## Failed", "", *(f"- {escape(problem, MAX_SENTENCE)}" for problem in calibration.problems)]
    return "\n".join(lines) + "\n"


def _markdown_table(section: Section) -> Iterator[str]:
    for cells in (section.columns, ("---",) * len(section.columns), *section.rows):
        yield f"| {' | '.join(clean(cell).replace('|', '/') for cell in cells)} |"


def write(calibration: Calibration, folder: Path) -> None:
    """Write calibration.json and calibration.md.

    Raises:
        UsageError: the folder can't be written.
    """
    with writing("--out", folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / JSON, calibration.model_dump_json(indent=2) + "\n")
        write_atomically(folder / MARKDOWN, markdown(calibration))


def _targets(calibration: Calibration) -> Section:
    rows = [(each.figure, each.reach, each.found, each.state, each.detail) for each in calibration.targets]
    return Section("Targets of the generator", ("figure", "target", "here", "", ""), rows)


def _costs(calibration: Calibration) -> Section:
    rows = [
        (
            tool.tool,
            spread(tool.cpu_us_per_request),
            spread(tool.throughput_rps),
            fmt.share(tool.generator_cpu_ratio.median),
            fmt.share(tool.server_cpu_ratio.median),
            tool.bottleneck,
            f"{tool.errors:,}",
        )
        for tool in calibration.cost
    ]
    columns = (
        "generator",
        "CPU µs per request",
        "requests/s",
        "of its core",
        "server, of its",
        "full",
        "errors",
    )
    note = (
        "Median over interleaved rounds, with the lowest and highest round. The side whose core is full sets the rate: "
        "where that is the generator, it is its highest rate per core."
    )
    title = f"CPU per request and highest rate: {CONNECTIONS} connections, saturated"
    return Section(title, columns, rows, note)


def _ratios(calibration: Calibration) -> Section:
    rows = [(f"{each.numerator} ÷ {each.denominator}", spread(each.ratio)) for each in calibration.ratios]
    note = "Computed within each round; median, lowest and highest."
    return Section("CPU per request, one over the other", ("ratio", "value"), rows, note)


def _latencies(calibration: Calibration) -> Section:
    rows = [row for truth in calibration.latency for row in _percentile_rows(truth)]
    columns = ("generator", "load", "", "reported", "packets", "difference", "", "lag")
    note = (
        "Service times of the same run. Lag: arrived → read by the generator, known with kernel stamps only. "
        "p99.9 only with ten requests above it."
    )
    return Section("Reported latency beside a packet capture", columns, rows, note)


def _percentile_rows(truth: LatencyTruth) -> Iterator[tuple[str, ...]]:
    for percentile in PERCENTILES:
        if percentile not in truth.reported_us:
            continue
        error_us, error_ratio = truth.error_us(percentile), truth.error_ratio(percentile)
        yield (
            truth.tool,
            truth.situation,
            PERCENTILE_NAMES[percentile],
            _duration(truth.reported_us.get(percentile)),
            _duration(truth.packets_us.get(percentile)),
            fmt.NONE if error_us is None else f"{error_us:+,.1f} µs",
            fmt.NONE if error_ratio is None else f"{100 * error_ratio:+,.1f} %",
            _duration(truth.lag_us.get(percentile)),
        )


def _duration(value_us: float | None) -> str:
    return fmt.duration(None if value_us is None else value_us / 1e3)


def _counts(calibration: Calibration) -> Section:
    rows = [
        (
            truth.tool,
            truth.situation,
            fmt.number(truth.throughput_rps),
            f"{truth.rows:,}",
            fmt.NONE if truth.packet_requests is None else f"{truth.packet_requests:,}",
            fmt.NONE if truth.packets_dropped is None else f"{truth.packets_dropped:,}",
        )
        for truth in calibration.latency
    ]
    columns = ("generator", "load", "requests/s", "rows", "requests in packets", "packets dropped")
    note = (
        f"Of the whole run. {DECLARED}: a row per request, those cut off by the end included. Plain Locust users "
        "record nothing for a request that the end cuts off. "
        "Packets dropped by the kernel: with any, the counts can't be compared."
    )
    return Section("Requests recorded and on the wire", columns, rows, note)


def _schedule(calibration: Calibration) -> Section:
    rows = [
        (
            f"{each.rate_rps:,.0f}/s",
            f"{each.due:,}",
            f"{each.sent:,}",
            f"{each.sent_ratio:.6g}",
            *(_duration(each.late_us[name]) for name in ("p50", "p99", "max")),
        )
        for each in calibration.schedule
    ]
    columns = ("rate (Poisson)", "due", "sent", "sent ÷ due", "late p50", "p99", "max")
    note = "Late: sent − scheduled. Due requests are drawn again from the seed: one that was dropped has no row."
    return Section("Open load's schedule", columns, rows, note)


def _missing(calibration: Calibration) -> Section:
    rows = [(each.tool, each.effect, each.remedy) for each in calibration.missing]
    return Section("Missing", ("tool", "effect", "remedy"), rows)
