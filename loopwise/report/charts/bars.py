"""Bars from zero, a row per case: throughput, CPU and memory, and each worker's share of the requests."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from loopwise.analysis.summary import Summary
from loopwise.model import Case, Run
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells
from loopwise.report.charts.kit.axes import linear_ticks, set_ticks, throughput_axis
from loopwise.report.charts.kit.chart import Chart
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.rows import BAR_IN, Column, RowPanel, draw_strokes
from loopwise.report.charts.kit.style import PAPER, mode_style

_AIR = 1.04
_TICKS = 2
"""Plots that stand side by side have room for few."""
_MAX_SEGMENTS = 16
"""Workers with a segment of their own; beyond them a segment is thinner than its outline."""


@dataclass(frozen=True)
class ThroughputPanel(RowPanel):
    """Requests a second of each case of a facet."""

    cells: tuple[Cell, ...]
    highest_rps: float
    """End of the axis, shared by the facets of one subject so that their bars can be compared."""

    subject = "Requests a second of {}."

    def figures(self) -> list[str]:
        """Throughput with its interval, or why there is none."""
        return [_estimate(cell) if cell.usable else cell.why for cell in self.cells]

    def draw(self, frame: Frame) -> None:
        """Bars with whiskers, the predicted bound as a tick, the figures in a column beside them."""
        texts = [_estimate(cell) if cell.usable else "" for cell in self.cells]
        rows = self.rows(frame, Column("requests/s", texts))
        throughput_axis(rows.axes, "x", self.highest_rps)
        rows.bars(self.cells)
        rows.voids(self.cells)
        rows.marks(
            [
                (cell.predicted, middle_in)
                for middle_in, cell in zip(rows.middles_in, self.cells, strict=True)
                if cell.usable and cell.predicted is not None
            ]
        )


def throughput_panels(summary: Summary) -> list[ThroughputPanel]:
    """One panel per facet that has a case."""
    cells = Cells(summary)
    rows = [(facet, tuple(cells.row(facet.cases, "throughput_rps"))) for facet in cells.facets]
    highest_rps: dict[str, float] = {}
    for facet, row in rows:
        ends = [end for cell in row if cell.usable for end in (*cell.ends, cell.predicted or 0.0)]
        highest_rps[facet.heading] = max([highest_rps.get(facet.heading, 0.0), *ends])
    return [ThroughputPanel(facet, row, highest_rps[facet.heading]) for facet, row in rows]


THROUGHPUT = Chart(
    "throughput",
    "Throughput by mode and workers",
    "Longer is better. Thin line: the interval; thick tick: the bound that arithmetic predicts; hatched: invalid.",
    throughput_panels,
)


@dataclass(frozen=True)
class ResourcesPanel(RowPanel):
    """CPU per request and memory of each case of a facet."""

    cpu: tuple[Cell, ...]
    memory: tuple[Cell, ...]

    subject = "CPU time per request and memory of {}."

    def figures(self) -> list[str]:
        """CPU time and memory, or why there is neither."""
        return [
            f"{cpu.say(fmt.duration) or fmt.NONE} of CPU, {memory.say(_megabytes) or fmt.NONE}"
            if cpu.usable or memory.usable
            else cpu.why
            for cpu, memory in zip(self.cpu, self.memory, strict=True)
        ]

    def draw(self, frame: Frame) -> None:
        """Two plots of bars: CPU per request, and memory."""
        plots: list[tuple[str, tuple[Cell, ...], Callable[[float | None], str]]] = [
            ("CPU/request", self.cpu, fmt.duration),
            ("memory", self.memory, _megabytes),
        ]
        # Where nothing of one was measured, its plot would be empty.
        known = [each for each in plots if any(cell.usable for cell in each[1])]
        columns = (Column(head, [cell.say(text) for cell in cells]) for head, cells, text in known)
        rows = self.rows(frame, *columns)
        for index, (_, cells, _) in enumerate(known):
            limit = max((end for cell in cells if cell.usable for end in cell.ends), default=0.0) * _AIR or 1.0
            rows.plots[index].set_xlim(0, limit)
            set_ticks(rows.plots[index], "x", linear_ticks(limit, _TICKS), fmt.tick_number)
            rows.bars(cells, index)
        rows.voids([memory if memory.usable else cpu for cpu, memory in zip(self.cpu, self.memory, strict=True)])


def resources_panels(summary: Summary) -> list[ResourcesPanel]:
    """One panel per facet whose server's processes were observed."""
    cells = Cells(summary)
    panels = []
    for facet in cells.facets:
        cpu, memory = (tuple(cells.row(facet.cases, name)) for name in ("cpu_ms_per_request", "rss_mb"))
        if any(cell.usable for cell in (*cpu, *memory)):
            panels.append(ResourcesPanel(facet, cpu, memory))
    return panels


RESOURCES = Chart(
    "resources",
    "CPU and memory",
    "CPU time of all server processes per request that succeeded, and their greatest memory: shorter is better.",
    resources_panels,
)


@dataclass(frozen=True)
class SharesPanel(RowPanel):
    """Shares of the requests, 0–1, the busiest worker first, each the mean over the valid runs; None: not known."""

    shares: tuple[tuple[float, ...] | None, ...]
    cells: tuple[Cell, ...]
    """Throughput: it says why a case is invalid."""

    subject = "Share of the requests per worker, {}."

    def figures(self) -> list[str]:
        """The shares of the busiest workers, or why they are not known."""
        return [
            (cell.why if cell.invalid else "is not known")
            if shares is None
            else ", ".join(fmt.share(share) for share in shares[:8])
            for shares, cell in zip(self.shares, self.cells, strict=True)
        ]

    def draw(self, frame: Frame) -> None:
        """A bar of the whole, cut where one worker's share ends; a tick where the first would end if all were equal."""
        texts = ["" if shares is None else fmt.share(shares[0]) for shares in self.shares]
        rows = self.rows(frame, Column("busiest", texts))
        rows.axes.set_xlim(0, 1)
        set_ticks(rows.axes, "x", [0, 0.25, 0.5, 0.75, 1], lambda share: f"{share * 100:.0f} %")
        cuts, evens = [], []
        for middle_in, shares, cell in zip(rows.middles_in, self.shares, self.cells, strict=True):
            if shares is None:
                rows.void(middle_in, cell)
                continue
            rows.bar(middle_in, 1, cell.case.mode)
            colour = mode_style(cell.case.mode).colour
            rows.axes.barh(middle_in, shares[0], BAR_IN, color=colour, edgecolor=PAPER, linewidth=0)
            end = 0.0
            for share in shares[: _MAX_SEGMENTS - 1]:
                end += share
                cuts.append(((end, middle_in - BAR_IN / 2), (end, middle_in + BAR_IN / 2)))
            evens.append((1 / len(shares), middle_in))
        draw_strokes(rows.axes, cuts, color=PAPER, lw=1.6)
        rows.marks(evens)


def shares_panels(summary: Summary) -> list[SharesPanel]:
    """One panel per facet that has cases on several workers whose share is known."""
    cells = Cells(summary)
    runs: dict[str, list[Run]] = {}
    for run in summary.runs:
        if run.status == "ok":
            runs.setdefault(run.case.case_id, []).append(run)
    panels = []
    for facet in cells.facets:
        several = tuple(case for case in facet.cases if (case.workers or 1) > 1)
        known = tuple(_shares(case, runs.get(case.case_id, [])) for case in several)
        if any(known):
            row = tuple(cells.row(several, "throughput_rps"))
            panels.append(SharesPanel(replace(facet, cases=several), known, row))
    return panels


SHARES = Chart(
    "shares",
    "Share of the requests per worker",
    "The unhatched part went to the busiest worker, the next ones' follow; thick tick: its end if all had the same.",
    shares_panels,
    more="Means over the valid runs.",
    has_intervals=False,
)


def _estimate(cell: Cell) -> str:
    return fmt.estimate(cell.value, cell.low, cell.high)


def _megabytes(value_mb: float | None) -> str:
    return f"{fmt.number(value_mb)} MB"


def _shares(case: Case, runs: Iterable[Run]) -> tuple[float, ...] | None:
    """The mean share of the busiest worker, of the second, and so on; None without a run that has them."""
    ranked: list[Sequence[float]] = []
    for run in runs:
        shares = sorted((worker.share for worker in run.workers if worker.share is not None), reverse=True)
        if len(shares) == case.workers:
            ranked.append(shares)
    return tuple(sum(each) / len(ranked) for each in zip(*ranked, strict=True)) or None
