"""How the requests were spread over the workers of each case; a row per case."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from loopwise.analysis.summary import Summary
from loopwise.model import Case, Run
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet
from loopwise.report.charts.kit.axes import set_ticks
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.row_panel import (
    BAR_IN,
    Column,
    Rows,
    describe_rows,
    draw_strokes,
    rows_height_in,
)
from loopwise.report.charts.kit.style import INK, PAPER, mode_style

_LARGEST_DRAWN = 16
"""Workers with a segment of their own; beyond them a segment is thinner than its outline."""


@dataclass(frozen=True)
class SharesPanel:
    """Shares of the requests, 0–1, the busiest worker first, each the mean over the valid runs; None: not known."""

    facet: Facet
    shares: tuple[tuple[float, ...] | None, ...]
    cells: tuple[Cell, ...]
    """Throughput: it says why a case is invalid."""


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


def panel_height_in(panel: SharesPanel) -> float:
    """Height that the panel's rows, heading and axis need."""
    return rows_height_in(panel.facet)


def draw_shares(frame: Frame, panel: SharesPanel) -> None:
    """A bar of the whole, cut where one worker's share ends; a tick where the first would end if all were equal."""
    texts = ["" if shares is None else fmt.share(shares[0]) for shares in panel.shares]
    rows = Rows(frame, panel.facet, [Column("busiest", texts)])
    rows.axes.set_xlim(0, 1)
    set_ticks(rows.axes, "x", [0, 0.25, 0.5, 0.75, 1], lambda share: f"{share * 100:.0f} %")
    cuts, evens = [], []
    for middle_in, shares, cell in zip(rows.middles_in, panel.shares, panel.cells, strict=True):
        if shares is None:
            rows.void(middle_in, cell)
            continue
        looks = mode_style(cell.case.mode)
        rows.axes.barh(
            middle_in, 1, BAR_IN, color=looks.colour, hatch=looks.hatch, edgecolor=PAPER, linewidth=0
        )
        rows.axes.barh(middle_in, shares[0], BAR_IN, color=looks.colour, edgecolor=PAPER, linewidth=0)
        end = 0.0
        for share in shares[: _LARGEST_DRAWN - 1]:
            end += share
            cuts.append(((end, middle_in - BAR_IN / 2), (end, middle_in + BAR_IN / 2)))
        reach_in = BAR_IN * 0.72
        even = 1 / len(shares)
        evens.append(((even, middle_in - reach_in), (even, middle_in + reach_in)))
    draw_strokes(rows.axes, cuts, color=PAPER, lw=1.6)
    draw_strokes(rows.axes, evens, color=INK, lw=1.8)


def describe_shares(panel: SharesPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    return describe_rows(
        f"Share of the requests per worker, {panel.facet.name}.",
        panel.facet,
        [
            _missing(cell) if shares is None else ", ".join(fmt.share(share) for share in shares[:8])
            for shares, cell in zip(panel.shares, panel.cells, strict=True)
        ],
    )


def _missing(cell: Cell) -> str:
    return "is not known" if cell.invalid is None else f"invalid: {cell.invalid}"


def _shares(case: Case, runs: Iterable[Run]) -> tuple[float, ...] | None:
    """The mean share of the busiest worker, of the second, and so on; None without a run that knows."""
    ranked = []
    for run in runs:
        shares = sorted((worker.share for worker in run.workers if worker.share is not None), reverse=True)
        if len(shares) == case.workers:
            ranked.append(shares)
    if not ranked:
        return None
    return tuple(sum(each) / len(ranked) for each in zip(*ranked, strict=True))
