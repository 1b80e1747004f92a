"""What a case costs others: the victim's latency, and CPU and memory; a row per case."""

from collections.abc import Callable
from dataclasses import dataclass

from loopwise.analysis.summary import Summary
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet
from loopwise.report.charts.kit.axes import latency_axis, linear_ticks, set_ticks
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.row_panel import Column, Rows, describe_rows, ends, rows_height_in, why
from loopwise.report.charts.kit.style import mode_style

_AIR = 1.04
_TICKS = 2
"""Plots that stand side by side have room for few."""


@dataclass(frozen=True)
class VictimPanel:
    """How long a cheap route waited beside each case's load."""

    facet: Facet
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ResourcesPanel:
    """CPU per request and memory of each case of a facet."""

    facet: Facet
    cpu: tuple[Cell, ...]
    memory: tuple[Cell, ...]


def victim_panels(summary: Summary) -> list[VictimPanel]:
    """One panel per facet in which a victim was asked."""
    cells = Cells(summary)
    found = [
        VictimPanel(facet, tuple(cells.row(facet.cases, "victim_p99_ms")))
        for facet in cells.facets
        if any(case.load.victim for case in facet.cases)
    ]
    return [panel for panel in found if any(_has_place(cell) for cell in panel.cells)]


def resources_panels(summary: Summary) -> list[ResourcesPanel]:
    """One panel per facet whose server was ours to watch."""
    cells = Cells(summary)
    found = [
        ResourcesPanel(
            facet,
            tuple(cells.row(facet.cases, "cpu_ms_per_request")),
            tuple(cells.row(facet.cases, "rss_mb")),
        )
        for facet in cells.facets
    ]
    return [panel for panel in found if any(cell.usable for cell in (*panel.cpu, *panel.memory))]


def panel_height_in(panel: VictimPanel | ResourcesPanel) -> float:
    """Height that the panel's rows, heading and axis need."""
    return rows_height_in(panel.facet)


def draw_victim(frame: Frame, panel: VictimPanel) -> None:
    """A mark per case with its interval, on a log axis."""
    texts = [_said(cell, fmt.duration) for cell in panel.cells]
    rows = Rows(frame, panel.facet, [Column("victim's p99", texts)])
    reach_ms = [end for cell in panel.cells if _has_place(cell) for end in ends(cell) if end > 0]
    latency_axis(rows.axes, "x", reach_ms, rows.plot_width_in)
    points: dict[str, list[tuple[float, float]]] = {}
    for middle_in, cell in zip(rows.middles_in, panel.cells, strict=True):
        if _has_place(cell):
            points.setdefault(cell.case.mode, []).append((cell.value or 0.0, middle_in))
        else:
            rows.void(middle_in, cell)
    shown = [pair for pair in zip(rows.middles_in, panel.cells, strict=True) if _has_place(pair[1])]
    rows.whiskers(shown)
    for mode, found in points.items():
        looks = mode_style(mode)
        rows.axes.plot(
            [x for x, _ in found], [y for _, y in found], looks.marker, color=looks.colour, ms=5.6, zorder=4
        )


def draw_resources(frame: Frame, panel: ResourcesPanel) -> None:
    """Two plots of bars from zero: CPU per request, and memory."""
    sides: list[tuple[str, tuple[Cell, ...], Callable[[float | None], str]]] = [
        ("CPU/request", panel.cpu, fmt.duration),
        ("memory", panel.memory, _megabytes),
    ]
    # A side of which nothing was measured would be an empty plot.
    known = [side for side in sides if any(cell.usable for cell in side[1])]
    columns = [Column(head, [_said(cell, say) for cell in cells]) for head, cells, say in known]
    rows = Rows(frame, panel.facet, columns)
    for index, (_, cells, _) in enumerate(known):
        limit = max((end for cell in cells if cell.usable for end in ends(cell)), default=0.0) * _AIR or 1.0
        rows.plots[index].set_xlim(0, limit)
        set_ticks(rows.plots[index], "x", linear_ticks(limit, _TICKS), fmt.tick_number)
        rows.bars(cells, index)
    for middle_in, cpu, memory in zip(rows.middles_in, panel.cpu, panel.memory, strict=True):
        if not (cpu.usable or memory.usable):
            rows.void(middle_in, cpu)


def describe_victim(panel: VictimPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    return describe_rows(
        f"99th percentile of the victim's response time beside {panel.facet.name}.",
        panel.facet,
        [
            fmt.duration(cell.value, cell.low, cell.high) if _has_place(cell) else why(cell)
            for cell in panel.cells
        ],
    )


def describe_resources(panel: ResourcesPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    return describe_rows(
        f"CPU time per request and memory of {panel.facet.name}.",
        panel.facet,
        [
            f"{_said(cpu, fmt.duration) or fmt.NONE} of CPU, {_said(memory, _megabytes) or fmt.NONE}"
            if cpu.usable or memory.usable
            else why(cpu)
            for cpu, memory in zip(panel.cpu, panel.memory, strict=True)
        ],
    )


def _has_place(cell: Cell) -> bool:
    """Whether a log axis has a place for the cell."""
    return cell.usable and cell.value is not None and cell.value > 0


def _said(cell: Cell, say: Callable[[float | None], str]) -> str:
    return say(cell.value) if cell.usable else ""


def _megabytes(value_mb: float | None) -> str:
    return f"{fmt.number(value_mb)} MB"
