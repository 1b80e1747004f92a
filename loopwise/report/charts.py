"""The charts: a table of functions, and the files made from them.

To add a chart: a function Summary -> panels (pure data), one that draws a panel, one that says it in words,
and a line in CHARTS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from matplotlib.figure import Figure

from loopwise.report import charts_forest, charts_lines, charts_rows, frame, style
from loopwise.report.forest_rows import duel_panels
from loopwise.report.format import clean
from loopwise.report.rows import Cells
from loopwise.report.svg import panels_of, svg_of
from loopwise.summary import Summary

P = TypeVar("P")

_PNG_DPI = 150


@dataclass(frozen=True)
class Chart(Generic[P]):
    """How one chart is made of a Summary, panel by panel."""

    title: str
    explanation: str
    """How to read it: what marks, lengths and lines mean."""
    panels: Callable[[Summary], list[P]]
    height_in: Callable[[P], float]
    draw: Callable[[frame.Frame, P], None]
    describe: Callable[[P], str]
    """Alternative text of a panel, with its figures."""

    def caption(self, summary: Summary) -> str:
        """The explanation, and what the intervals stand for."""
        return f"{self.explanation} {Cells(summary).interval_note}"

    def figure(self, summary: Summary) -> Figure | None:
        """All panels on one figure; None when there is nothing to draw."""
        panels = self.panels(summary)
        return self._sheet(summary, panels) if panels else None

    def panel_figure(self, panel: P) -> Figure:
        """One panel alone, for a page that arranges them by its own width."""
        with style.look():
            return frame.single(self.height_in(panel), partial(self._draw, panel))

    def _sheet(self, summary: Summary, panels: list[P]) -> Figure:
        with style.look():
            title = f"{self.title} · {clean(summary.experiment.suite.name)}"
            heights_in = [self.height_in(panel) for panel in panels]
            return frame.sheet(
                title, self.caption(summary), heights_in, [partial(self._draw, panel) for panel in panels]
            )

    def _draw(self, panel: P, place: frame.Frame) -> None:
        self.draw(place, panel)


CHARTS: dict[str, Chart[Any]] = {
    "forest": Chart(
        "Candidate against baseline",
        charts_forest.EXPLANATION,
        duel_panels,
        charts_forest.panel_height_in,
        charts_forest.draw_forest,
        charts_forest.describe_forest,
    ),
    "throughput": Chart(
        "Throughput by mode and workers",
        "Requests a second that succeeded: longer is better. A thin line is the interval; a thick upright"
        " tick, where there is one, the bound that arithmetic predicts. Hatched slots are invalid and have no"
        " length.",
        charts_rows.throughput_panels,
        charts_rows.panel_height_in,
        charts_rows.draw_throughput,
        charts_rows.describe_throughput,
    ),
    "percentiles": Chart(
        "Latency percentiles by mode",
        "Service time, from sent to the last byte: further left is better. Filled mark p50, small mark p90,"
        " hollow mark p99; a thin line is the interval, unless the mark hides it. The axis is logarithmic.",
        charts_rows.percentile_panels,
        charts_rows.panel_height_in,
        charts_rows.draw_percentiles,
        charts_rows.describe_percentiles,
    ),
    "distribution": Chart(
        "Latency distribution",
        "Service time at every percentile: lower is better, and a flat line is steady. Each further nine"
        " takes the same room. The line is the median of the replicates, the band reaches from the lowest to the"
        " highest.",
        charts_lines.distribution_panels,
        charts_lines.panel_height_in,
        charts_lines.draw_distribution,
        charts_lines.describe_distribution,
    ),
    "workers": Chart(
        "Throughput against workers",
        "What more worker processes bring: higher is better. The factor beside a name is the most workers"
        " over the fewest. A dotted curve, where there is one, is the fitted law of scaling.",
        charts_lines.workers_panels,
        charts_lines.panel_height_in,
        charts_lines.draw_workers,
        charts_lines.describe_workers,
    ),
}


@dataclass(frozen=True)
class InlinePanel:
    """One panel as SVG text for a page, and its alternative text."""

    svg: str
    alt: str


@dataclass(frozen=True)
class ChartFile:
    """A chart on disk, and what a page needs to show it."""

    name: str
    title: str
    caption: str
    svg: Path
    png: Path
    panels: tuple[InlinePanel, ...]


def save(summary: Summary, folder: Path) -> list[ChartFile]:
    """Writes every chart as SVG and PNG into the folder, made if missing; same Summary, same bytes.

    Files of charts that this Summary has nothing for are removed: they would show an older state.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, chart in CHARTS.items():
        svg, png = folder / f"{name}.svg", folder / f"{name}.png"
        panels = chart.panels(summary)
        if not panels:
            svg.unlink(missing_ok=True)
            png.unlink(missing_ok=True)
            continue
        figure = chart._sheet(summary, panels)
        text = svg_of(figure, chart.title)
        svg.write_text(text, encoding="utf-8")
        heights_in = [chart.height_in(panel) for panel in panels]
        with style.look():
            figure.savefig(png, format="png", dpi=_PNG_DPI, metadata={"Software": None})
        inline = tuple(
            InlinePanel(alone, chart.describe(panel))
            for panel, alone in zip(panels, panels_of(text, figure, heights_in), strict=True)
        )
        files.append(ChartFile(name, chart.title, chart.caption(summary), svg, png, inline))
    return files
