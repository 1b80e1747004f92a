"""The charts: a table of functions, and the files made from them.

To add a chart: a function Summary -> panels (pure data), one that draws a panel, one that says it in words,
and a line in CHARTS.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from markupsafe import Markup
from matplotlib.figure import Figure

from loopwise.analysis.summary import Summary
from loopwise.report.cells import Cells
from loopwise.report.charts import bars as charts_rows
from loopwise.report.charts import checks as charts_checks
from loopwise.report.charts import costs as charts_costs
from loopwise.report.charts import forest as charts_forest
from loopwise.report.charts import heatmap as charts_heatmap
from loopwise.report.charts import histogram as charts_histogram
from loopwise.report.charts import percentiles as charts_lines
from loopwise.report.charts import plane as charts_plane
from loopwise.report.charts import rate as charts_rate
from loopwise.report.charts import shares as charts_shares
from loopwise.report.charts import timelines as charts_time
from loopwise.report.charts import workers as charts_workers
from loopwise.report.charts.forest_rows import duel_panels
from loopwise.report.charts.kit import frame, style
from loopwise.report.charts.kit.svg import inline, panels_of, svg_of
from loopwise.report.format import clean

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
    has_intervals: bool = True
    """Whether it draws any: then the caption says what they stand for."""

    def caption(self, summary: Summary) -> str:
        """The explanation, and what the intervals stand for where there are any."""
        return (
            f"{self.explanation} {Cells(summary).interval_note}" if self.has_intervals else self.explanation
        )

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
        f" highest. Where that would be more than {charts_lines.MANY_PANELS} panels, only the fewest and the most"
        " workers have one.",
        charts_lines.distribution_panels,
        charts_lines.panel_height_in,
        charts_lines.draw_distribution,
        charts_lines.describe_distribution,
        has_intervals=False,
    ),
    "histogram": Chart(
        "How often each latency occurred",
        "A hill per case on a logarithmic axis: further left is better, narrow is steady. Each hill is as high as its"
        " most frequent latency, so that shapes can be compared, not heights. Filled is the service time; a dark"
        " outline, in open load, the response time, from when a request was due. The dashed tick is the median.",
        charts_histogram.histogram_panels,
        charts_histogram.panel_height_in,
        charts_histogram.draw_histogram,
        charts_histogram.describe_histogram,
        has_intervals=False,
    ),
    "workers": Chart(
        "Throughput and latency against workers",
        "What more worker processes bring: higher throughput is better, lower p99 is better. The factor beside a name"
        " is the throughput of the most workers over that of the fewest. A thin curve, where there is one, is the"
        " fitted law of scaling.",
        charts_workers.workers_panels,
        charts_workers.panel_height_in,
        charts_workers.draw_workers,
        charts_workers.describe_workers,
    ),
    "rate": Chart(
        "Latency against offered rate",
        "Open load: lower is better, and a line that bends upwards has found the server's limit. Filled marks are the"
        " response time, from when a request was due; hollow ones on a dotted line the service time, from when it was"
        " sent. What lies between them is time spent waiting to be sent. Loads whose rate rises are left out.",
        charts_rate.rate_panels,
        charts_rate.panel_height_in,
        charts_rate.draw_rate,
        charts_rate.describe_rate,
    ),
    "plane": Chart(
        "Latency against throughput",
        "Each mark is a case: further right and further down is better. A line joins the worker counts of one mode, or"
        " its rates in open load, and ends with the highest, at its name; behind the name stand the lowest and the"
        " highest. Beside many cases the slowest are named.",
        charts_plane.plane_panels,
        charts_plane.plane_height_in,
        charts_plane.draw_plane,
        charts_plane.describe_plane,
    ),
    "victim": Chart(
        "What others wait: the victim's latency",
        "A cheap route, asked 20 times a second beside the load: the 99th percentile of its response time, further left"
        " is better. The axis is logarithmic.",
        charts_costs.victim_panels,
        charts_costs.panel_height_in,
        charts_costs.draw_victim,
        charts_costs.describe_victim,
    ),
    "resources": Chart(
        "CPU and memory",
        "CPU time of all the server's processes per request that succeeded, in ms, and the greatest sum of their"
        " memory, in MB: shorter is better.",
        charts_costs.resources_panels,
        charts_costs.panel_height_in,
        charts_costs.draw_resources,
        charts_costs.describe_resources,
    ),
    "shares": Chart(
        "Share of the requests per worker",
        "A bar is all requests of a case; its first, unhatched part went to the busiest worker, the cuts are where the"
        " next ones' parts end. A thick tick shows where the first part would end if all workers had the same. Means"
        " over the valid runs.",
        charts_shares.shares_panels,
        charts_shares.panel_height_in,
        charts_shares.draw_shares,
        charts_shares.describe_shares,
        has_intervals=False,
    ),
    "predicted": Chart(
        "Measured against predicted",
        "Throughput against the smallest bound that arithmetic gives it. On the diagonal both are equal; in the grey"
        " band nothing needs explaining. Named are the cases furthest from the diagonal, with measured over predicted.",
        charts_plane.predicted_panels,
        charts_plane.predicted_height_in,
        charts_plane.draw_predicted,
        charts_plane.describe_predicted,
    ),
    "heatmap": Chart(
        "Two factors at once",
        "Throughput, and below it p99, over the two factors that the suite varies: darker is more. Each grid has a"
        " scale of its own, logarithmic for latency. Hatched cells are invalid, a dash is a case that the suite lacks.",
        charts_heatmap.heatmap_panels,
        charts_heatmap.heatmap_height_in,
        charts_heatmap.draw_heatmap,
        charts_heatmap.describe_heatmap,
        has_intervals=False,
    ),
    "timeline": Chart(
        "Time lines of single runs",
        "What happened in the window, step by step. Shown are, for each set of compared cases, a run of the fastest and"
        f" one with the strongest cause, and one whose numbers are not used; at most {charts_time.RUNS_SHOWN}. A step's"
        " latencies are of the requests that fell into it, occupancies are summed over the workers."
        " A gap: nothing was answered, or the probe's thread had no turn.",
        charts_time.timeline_panels,
        charts_time.panel_height_in,
        charts_time.draw_timeline,
        charts_time.describe_timeline,
        has_intervals=False,
    ),
    "checks": Chart(
        "Cases that a check marked",
        "A cross: the check made runs of the case void; a triangle: it only flagged them. The number counts those runs;"
        " the words are the gravest reason. Cases without a mark have no row.",
        charts_checks.checks_panels,
        charts_checks.checks_height_in,
        charts_checks.draw_checks,
        charts_checks.describe_checks,
        has_intervals=False,
    ),
}


@dataclass(frozen=True)
class InlinePanel:
    """One panel as SVG text for a page, and its alternative text."""

    svg: str
    alt: str

    def element(self, prefix: str) -> Markup:
        """The panel as an element of a page; the prefix makes its ids unique there."""
        return Markup(inline(self.svg, prefix, self.alt))


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
        heights_in = [chart.height_in(panel) for panel in panels]
        words = [chart.describe(panel) for panel in panels]
        shown = save_sheet(chart._sheet(summary, panels), chart.title, heights_in, words, (svg, png))
        files.append(ChartFile(name, chart.title, chart.caption(summary), svg, png, shown))
    return files


def save_sheet(
    figure: Figure, title: str, heights_in: Sequence[float], words: Sequence[str], files: tuple[Path, Path]
) -> tuple[InlinePanel, ...]:
    """Write what frame.sheet made as SVG and PNG, and cut its panels out of it.

    Args:
        figure: the sheet.
        title: of the SVG.
        heights_in: of the panels, in their order.
        words: what each panel shows.
        files: SVG and PNG.
    """
    svg, png = files
    text = svg_of(figure, title)
    svg.write_text(text, encoding="utf-8")
    with style.look():
        figure.savefig(png, format="png", dpi=_PNG_DPI, metadata={"Software": None})
    return tuple(map(InlinePanel, panels_of(text, figure, heights_in), words))
