"""Styles of modes, colours and fonts, the same in every chart, page and table; and the width of text.

Colour never carries a meaning alone: each mode also has its own marker, line style and hatch, and is named.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import matplotlib as mpl
from matplotlib.font_manager import FontProperties, findfont, get_font

from loopwise.model import modes

# Ink colours. The page swaps exactly these strings for its own variables, so that charts follow dark mode;
# hence no two may be equal, and PAPER is a white that nothing else uses.
INK = "#1d2530"
MUTED = "#5c6773"
GRID = "#dde2e8"
PAPER = "#fefefe"
VOID = "#a3acb8"

LABEL_PT = 8.0
TITLE_PT = 10.5
FONT = "DejaVu Sans"
_ROUNDING_IN = 1e-6


@dataclass(frozen=True)
class ModeStyle:
    """Style of a mode, or of a line where modes do not distinguish the lines."""

    colour: str
    marker: str
    line: Any
    """A matplotlib line style."""
    hatch: str


# Okabe & Ito, "Color Universal Design" (2008): distinct in every common form of colour blindness.
SERIES: tuple[ModeStyle, ...] = (
    ModeStyle("#0072b2", "o", "-", ""),
    ModeStyle("#e69f00", "s", (0, (5, 1.5)), "///"),
    ModeStyle("#d55e00", "X", (0, (1, 1)), "xxx"),
    ModeStyle("#009e73", "^", (0, (5, 1.5, 1, 1.5)), "\\\\\\"),
    ModeStyle("#cc79a7", "D", (0, (3, 1, 1, 1, 1, 1)), "---"),
    ModeStyle("#56b4e9", "P", (0, (8, 2)), ""),
)
"""Styles of lines that differ in something else than the mode."""
# The rest of the palette, for modes that are added.
_SPARE = (
    ModeStyle("#f0e442", "v", (0, (2, 2)), "..."),
    ModeStyle("#333333", "<", (0, (4, 1, 1, 1)), "+++"),
)
*_FIRST, _OWN = SERIES
MODES: dict[str, ModeStyle] = {
    **dict(zip(modes.MODES, [*_FIRST, *_SPARE], strict=False)),
    modes.OWN.name: _OWN,
}
"""Style by mode: the modes have theirs by position, somebody's own app has the last."""


def mode_style(mode: str) -> ModeStyle:
    """The style of a mode; a mode that is not in the table has that of somebody's own app."""
    return MODES.get(mode, MODES[modes.OWN.name])


@contextmanager
def figure_style() -> Iterator[None]:
    """Matplotlib settings for drawing and saving figures, restored on leaving.

    Saving belongs inside it too: tick labels are made, and fonts chosen, only then.
    """
    with (
        mpl.rc_context(
            {
                "font.family": [FONT],
                "font.size": LABEL_PT,
                "text.color": INK,
                # A `$` in somebody's path is a dollar sign.
                "text.parse_math": False,
                # Letters keep their place and width at every resolution, and are drawn a fifth faster.
                "text.hinting": "none",
                "axes.edgecolor": GRID,
                "axes.labelcolor": MUTED,
                "axes.labelsize": LABEL_PT,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.facecolor": "none",
                "axes.axisbelow": True,
                "grid.color": GRID,
                "figure.facecolor": PAPER,
                "hatch.linewidth": 0.5,
                "lines.linewidth": 1.8,
                "xtick.color": GRID,
                "ytick.color": GRID,
                "xtick.labelcolor": MUTED,
                "ytick.labelcolor": MUTED,
                "xtick.labelsize": LABEL_PT - 0.5,
                "ytick.labelsize": LABEL_PT - 0.5,
                "xtick.major.size": 3.0,
                "ytick.major.size": 0.0,
                # Text stays text: small files, sharp, selectable, and in the page's own font.
                "svg.fonttype": "none",
                "svg.hashsalt": "loopwise",
            }
        ),
        _quiet_about_glyphs(),
    ):
        yield


@contextmanager
def _quiet_about_glyphs() -> Iterator[None]:
    # A name in a script that DejaVu lacks is still right in the SVG, where the browser picks the font.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        yield


@lru_cache(maxsize=4096)
def text_width_in(text: str, size_pt: float = LABEL_PT, *, bold: bool = False) -> float:
    """Width of one line of text in inches, as matplotlib draws it."""
    font = get_font(findfont(FontProperties(family=FONT, weight="bold" if bold else "normal")))
    font.set_size(size_pt, 72)
    with _quiet_about_glyphs():
        font.set_text(text)
    width, _ = font.get_width_height()
    return float(width) / 64 / 72


def fit(text: str, width_in: float, size_pt: float = LABEL_PT, *, bold: bool = False) -> str:
    """The text, cut with an ellipsis where it is wider than this."""
    # Hardly a letter is narrower than a fifth of its height, so text beyond this length can't fit.
    longest = int(width_in * 72 / size_pt * 5) + 1
    # Room that was made from the text's own width is a rounding away from it.
    if len(text) <= longest and text_width_in(text, size_pt, bold=bold) <= width_in + _ROUNDING_IN:
        return text
    kept, dropped = 0, min(len(text), longest)
    while dropped - kept > 1:
        middle = (kept + dropped) // 2
        short_enough = text_width_in(f"{text[:middle]}…", size_pt, bold=bold) <= width_in
        kept, dropped = (middle, dropped) if short_enough else (kept, middle)
    return f"{text[:kept].rstrip()}…"


def wrap(text: str, width_in: float, size_pt: float = LABEL_PT, *, lines: int = 2, bold: bool = False) -> list[str]:
    """The text on at most so many lines, broken at spaces where possible; the last one may be cut."""
    rest = text
    wrapped: list[str] = []
    while rest and len(wrapped) < lines - 1 and (head := fit(rest, width_in, size_pt, bold=bold)) != rest:
        head = head.removesuffix("…")
        at_space = head.rfind(" ")
        # A break in the last third costs little room; an earlier one would waste the line.
        head = head[:at_space] if at_space > len(head) * 0.6 else head
        wrapped.append(head.strip())
        rest = rest[len(head) :].strip()
    return [*wrapped, fit(rest, width_in, size_pt, bold=bold)]
