"""Charts made of panels, and the files they are saved as."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from loopwise.analysis.summary import Summary
from loopwise.report.cells import Cells
from loopwise.report.charts.kit import frame, style
from loopwise.report.charts.kit.frame import Panel
from loopwise.report.charts.kit.svg import inline, panels_of, svg_of
from loopwise.results.files import replacing, write_atomically
from loopwise.visible import clean

_PNG_DPI = 150
_MAX_SHEET_IN = 40.0
"""Heights of the panels of one of several sheets together: in two columns, an arm's length of paper."""
_MAX_SHEET_PANELS = 12


@dataclass(frozen=True)
class Chart:
    """One chart of a report."""

    name: str
    """Name of its files, and of its place in the page."""
    title: str
    explanation: str
    """How to read it, on one line: the meaning of marks, lengths and lines."""
    panels: Callable[[Summary], Sequence[Panel]]
    """The data of each panel; empty: there is nothing to draw."""
    has_intervals: bool = True
    """Whether it draws intervals, so that a sheet says what they stand for."""
    more: str = ""
    """What a sheet says besides, which stands alone."""

    def note(self, summary: Summary) -> str:
        """Everything that a sheet says below the panels: how to read it, and what the intervals stand for."""
        intervals = Cells(summary).interval_note if self.has_intervals else ""
        return " ".join(filter(None, (self.explanation, self.more, intervals)))

    def figure(self, summary: Summary) -> Figure | None:
        """All panels on one sheet; None when there is nothing to draw."""
        panels = self.panels(summary)
        return self._sheet(summary, panels) if panels else None

    def save(self, summary: Summary, folder: Path) -> "ChartFile | None":
        """Write NAME.svg and NAME.png, or remove older ones and return None when there is nothing to draw."""
        files = _files(folder / self.name)
        panels = self.panels(summary)
        if not panels:
            for path in files:
                path.unlink(missing_ok=True)
            return None
        shown = _save_sheet(self._sheet(summary, panels), self.title, panels, files)
        return ChartFile(self.name, self.title, self.explanation, files, shown)

    def _sheet(self, summary: Summary, panels: Sequence[Panel]) -> Figure:
        title = f"{self.title} · {clean(summary.experiment.suite.name)}"
        with style.figure_style():
            return frame.sheet(title, self.note(summary), panels)


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
    """A chart on disk, on one sheet or several, and its panels for a page."""

    name: str
    title: str
    caption: str
    files: tuple[Path, ...]
    """SVG and PNG of each sheet."""
    panels: tuple[InlinePanel, ...]


def save_sheets(stem: Path, panels: Sequence[Panel], *, title: str, caption: str) -> ChartFile:
    """Write STEM.svg and STEM.png, STEM-2.svg and so on; remove files of more sheets from an earlier call."""
    folder, name = stem.parent, stem.name
    for path in [*folder.glob(f"{name}.*"), *folder.glob(f"{name}-[0-9]*.*")]:
        if path.suffix in {".svg", ".png"}:
            path.unlink()
    files: list[Path] = []
    shown: list[InlinePanel] = []
    sheets = list(_sheets(panels))
    for number, members in enumerate(sheets, start=1):
        pair = _files(stem if number == 1 else folder / f"{name}-{number}")
        heading = title if len(sheets) == 1 else f"{title} ({number} of {len(sheets)})"
        with style.figure_style():
            figure = frame.sheet(heading, caption, members)
        shown += _save_sheet(figure, heading, members, pair)
        files += pair
    return ChartFile(name, title, caption, tuple(files), tuple(shown))


def _save_sheet(
    figure: Figure, title: str, panels: Sequence[Panel], files: tuple[Path, Path]
) -> tuple[InlinePanel, ...]:
    """Write a sheet as SVG and PNG, and cut its panels out of it."""
    svg, png = files
    text = svg_of(figure, title)
    write_atomically(svg, text)
    with style.figure_style(), replacing(png) as sink:
        figure.savefig(sink, format="png", dpi=_PNG_DPI, metadata={"Software": None})
    cut = panels_of(text, figure, [panel.height_in for panel in panels])
    return tuple(InlinePanel(each, panel.describe()) for each, panel in zip(cut, panels, strict=True))


def _files(stem: Path) -> tuple[Path, Path]:
    return stem.parent / f"{stem.name}.svg", stem.parent / f"{stem.name}.png"


def _sheets(panels: Sequence[Panel]) -> Iterator[list[Panel]]:
    """The panels in their order, as many on a sheet as can be read."""
    sheet: list[Panel] = []
    height_in = 0.0
    for panel in panels:
        taller_in = height_in + panel.height_in
        if sheet and (taller_in > _MAX_SHEET_IN or len(sheet) == _MAX_SHEET_PANELS):
            yield sheet
            sheet, taller_in = [], panel.height_in
        sheet.append(panel)
        height_in = taller_in
    if sheet:
        yield sheet
