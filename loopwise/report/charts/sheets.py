"""Panels that belong to no single result: drawn on sheets of a size that can be read, as files and for a page."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from loopwise.report.charts.kit import frame, style
from loopwise.report.charts.table import InlinePanel, save_sheet

P = TypeVar("P")
_MOST_IN = 40.0
"""Heights of a sheet's panels together: in two columns, an arm's length of paper."""
_MOST_PANELS = 12


@dataclass(frozen=True)
class Kind(Generic[P]):
    """How a kind of panel is drawn."""

    height_in: Callable[[P], float]
    draw: Callable[[frame.Frame, P], None]
    describe: Callable[[P], str]
    """Alternative text of a panel, with its figures."""


@dataclass(frozen=True)
class Sheets:
    """A chart on disk, on one sheet or several, and its panels for a page."""

    name: str
    title: str
    caption: str
    files: tuple[Path, ...]
    panels: tuple[InlinePanel, ...]


def save_sheets(stem: Path, panels: Sequence[P], kind: Kind[P], *, title: str, caption: str) -> Sheets:
    """Write STEM.svg and STEM.png, STEM-2.svg and so on; files of sheets that there are no more are removed."""
    folder, name = stem.parent, stem.name
    for path in [*folder.glob(f"{name}.*"), *folder.glob(f"{name}-[0-9]*.*")]:
        if path.suffix in {".svg", ".png"}:
            path.unlink()
    files: list[Path] = []
    inline: list[InlinePanel] = []
    sheets = list(_sheets(panels, kind))
    for number, members in enumerate(sheets, start=1):
        file = name if number == 1 else f"{name}-{number}"
        heading = title if len(sheets) == 1 else f"{title} ({number} of {len(sheets)})"
        heights_in = [kind.height_in(panel) for panel in members]
        svg, png = folder / f"{file}.svg", folder / f"{file}.png"
        with style.look():
            draws = [partial(_draw, kind, panel) for panel in members]
            figure = frame.sheet(heading, caption, heights_in, draws)
        inline += save_sheet(figure, heading, heights_in, list(map(kind.describe, members)), (svg, png))
        files += [svg, png]
    return Sheets(name, title, caption, tuple(files), tuple(inline))


def _draw(kind: Kind[P], panel: P, place: frame.Frame) -> None:
    kind.draw(place, panel)


def _sheets(panels: Sequence[P], kind: Kind[P]) -> Iterator[list[P]]:
    sheet: list[P] = []
    height_in = 0.0
    for panel in panels:
        taller_in = height_in + kind.height_in(panel)
        if sheet and (taller_in > _MOST_IN or len(sheet) == _MOST_PANELS):
            yield sheet
            sheet, taller_in = [], kind.height_in(panel)
        sheet.append(panel)
        height_in = taller_in
    if sheet:
        yield sheet
