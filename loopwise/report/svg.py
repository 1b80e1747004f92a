"""SVG text: made from a figure, small and always the same; and made fit to stand inside a page."""

import io
import re
from collections.abc import Callable
from html import escape

from matplotlib.figure import Figure

from loopwise.report.format import clean
from loopwise.report.style import GRID, INK, MUTED, PAPER, VOID, look

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--card)",
    VOID: "var(--void)",
}

# Markup of matplotlib's own. Texts can't be mistaken for it: their angle brackets are escaped.
_TAG = re.compile(r"<[^>]*>")
_LONG_DECIMAL = re.compile(r"(\d+\.\d\d)\d+")
_ID = re.compile(r'(\bid="|href="#|url\(#)')


def svg_of(figure: Figure, title: str) -> str:
    """The figure as an SVG file's text: the same for the same figure, without date or version."""
    buffer = io.StringIO()
    with look():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": clean(title)})
    # matplotlib repeats each text in a comment before it, which doubles the size.
    svg = re.sub(r"<!--.*?-->\n?", "", buffer.getvalue(), flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # A hundredth of a point is finer than any screen shows.
    return re.sub(r"\n\s*", "\n", _in_tags(svg, lambda tag: _LONG_DECIMAL.sub(r"\1", tag)))


def inline(svg: str, prefix: str, alt: str) -> str:
    """The SVG as an element of a page: named for screen readers, in the page's colours and font.

    Args:
        svg: Text of an SVG file.
        prefix: Makes ids unique among the page's other charts.
        alt: What the chart shows, in words.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(style|title)\b.*?</\1>\s*", "", svg, flags=re.DOTALL)
    svg = _in_tags(svg, lambda tag: _of_the_page(tag, prefix))
    root, rest = svg.split(">", 1)
    root = re.sub(r'\s(width|height|version|xmlns:xlink|xmlns)="[^"]*"', "", root)
    return f'{root} role="img" aria-label="{escape(alt)}">{rest}'.strip()


def _in_tags(svg: str, change: Callable[[str], str]) -> str:
    return _TAG.sub(lambda match: change(match.group()), svg)


def _of_the_page(tag: str, prefix: str) -> str:
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(colour, variable)
    tag = re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 var(--sans)", tag)
    tag = tag.replace("xlink:href", "href")
    return _ID.sub(lambda match: f"{match.group()}{prefix}", tag)
