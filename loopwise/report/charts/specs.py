"""CHARTS: every chart of a report, in the order of the page.

To add a chart: panels with their data (Summary -> panels, each of which can draw and describe itself), a Chart that
names and explains it, and its place here.
"""

from pathlib import Path

from loopwise.analysis.summary import Summary
from loopwise.report.charts.bars import RESOURCES, SHARES, THROUGHPUT
from loopwise.report.charts.checks import CHECKS
from loopwise.report.charts.distribution import DISTRIBUTION, HISTOGRAM
from loopwise.report.charts.forest import FOREST
from loopwise.report.charts.heatmap import HEATMAP
from loopwise.report.charts.kit.chart import Chart, ChartFile
from loopwise.report.charts.plane import PLANE, PREDICTED
from loopwise.report.charts.points import PERCENTILES, VICTIM
from loopwise.report.charts.rate import RATE
from loopwise.report.charts.timelines import TIMELINE
from loopwise.report.charts.workers import WORKERS

CHARTS: dict[str, Chart] = {
    chart.name: chart
    for chart in (
        *(FOREST, THROUGHPUT, PERCENTILES, DISTRIBUTION, HISTOGRAM, WORKERS, RATE, PLANE, VICTIM),
        *(RESOURCES, SHARES, PREDICTED, HEATMAP, TIMELINE, CHECKS),
    )
}


def save(summary: Summary, folder: Path) -> list[ChartFile]:
    """Write every chart as SVG and PNG into the folder, made if missing; same Summary, same bytes.

    Files of charts for which this Summary has nothing are removed: they would show an older state.

    Raises:
        OSError: it can't be written there, or the result around the folder is gone: half of one is not made anew.
    """
    folder.mkdir(exist_ok=True)
    saved = (chart.save(summary, folder) for chart in CHARTS.values())
    return [file for file in saved if file is not None]
