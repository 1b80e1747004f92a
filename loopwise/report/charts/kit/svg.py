"""SVG of figures: reproducible and small, cut into panels, and prepared for use inside a page."""

import io
import re
from collections.abc import Callable, Sequence
from html import escape

from matplotlib.figure import Figure

from loopwise.report.charts.kit.frame import PAD_IN
from loopwise.report.charts.kit.style import FONT, GRID, INK, MUTED, PAPER, VOID, figure_style
from loopwise.visible import clean

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--card)",
    VOID: "var(--void)",
}
_POINTS_PER_IN = 72

# Markup of matplotlib's own. Texts can't be mistaken for it: their angle brackets are escaped.
_TAG = re.compile(r"<[^>]*>")
_LONG_DECIMAL = re.compile(r"(\d+\.\d\d)\d+")
_ID = re.compile(r'(\bid="|href="#|url\(#)')
_REFERENCE = re.compile(r'(?:href="#|url\(#)([^")]+)')
# Written by matplotlib for every mark and of no use: names of groups, rotations by 0, the font, default attributes.
_IDLE = re.compile(
    rf""" transform="rotate\(-?0 [^"]*"| id="[A-Za-z.]\w*(?:\.\w+)?_\d+"|font-family: '{FONT}'; |text-anchor: start; """
)
_LONE = re.compile(r"<g>\n(<(?:path|use|text)\b[^>]*(?:/>|>[^<]*</text>))\n</g>")
_DEFINITION = re.compile(r"<(path|clipPath|pattern)\b[^>]*\bid=\"([^\"]+)\"[^>]*(?:/>|>.*?</\1>)", re.DOTALL)
_STROKES = "stroke-linejoin: round; stroke-linecap: butt"
_STYLE = f"<style type=\"text/css\">*{{{_STROKES}}} text{{font-family: '{FONT}', Verdana, sans-serif}}</style>"


def svg_of(figure: Figure, title: str) -> str:
    """The figure as an SVG file's text: the same for the same figure, without date or version."""
    for index, part in enumerate(figure.subfigs):
        part.set_gid(_panel_id(index))
    buffer = io.StringIO()
    with figure_style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": clean(title)})
    # matplotlib repeats each text in a comment before it, which doubles the size.
    svg = re.sub(r"<!--.*?-->\n?", "", buffer.getvalue(), flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style\b.*?</style>", _STYLE, svg, count=1, flags=re.DOTALL)
    # A hundredth of a point is finer than any screen shows.
    svg = _in_tags(svg, lambda tag: _IDLE.sub("", _LONG_DECIMAL.sub(r"\1", tag)))
    svg = re.sub(r"\s*\n\s*", "\n", svg.replace("<g/>", ""))
    return _LONE.sub(r"\1", _LONE.sub(r"\1", svg))


def panels_of(svg: str, figure: Figure, heights_in: Sequence[float]) -> list[str]:
    """The panels of a sheet as SVG files of their own, cut out of the sheet's text.

    Args:
        svg: of the sheet, from `svg_of`.
        figure: the sheet.
        heights_in: heights of the panels, in their order.
    """
    definitions = {match[2]: match[0] for match in _DEFINITION.finditer(svg)}
    return [_cut(svg, figure, index, height_in, definitions) for index, height_in in enumerate(heights_in)]


def _cut(svg: str, figure: Figure, index: int, height_in: float, definitions: dict[str, str]) -> str:
    group = _group(svg, svg.index(f'<g id="{_panel_id(index)}">'))
    box, whole_in = figure.subfigs[index].bbox_relative, figure.get_size_inches()
    left, top = box.x0 * whole_in[0] - PAD_IN, (1 - box.y1) * whole_in[1] - PAD_IN
    size = (box.width * whole_in[0] + 2 * PAD_IN, height_in + 2 * PAD_IN)
    view = " ".join(f"{value * _POINTS_PER_IN:.2f}" for value in (left, top, *size))
    across, down = (f"{value * _POINTS_PER_IN:.2f}pt" for value in size)
    root = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' width="{across}" height="{down}" viewBox="{view}" version="1.1">'
    )
    inside = {match[2] for match in _DEFINITION.finditer(group)}
    wanted = dict.fromkeys(name for name in _REFERENCE.findall(group) if name not in inside)
    needed = "\n".join(definitions[name] for name in wanted)
    return f"{root}\n<defs>\n{_STYLE}\n{needed}\n</defs>\n{group}\n</svg>\n"


def _group(svg: str, start: int) -> str:
    """The element that begins there, with the groups inside it."""
    depth = 0
    for tag in re.finditer(r"<g\b[^>]*(?<!/)>|</g>", svg[start:]):
        depth += 1 if tag[0] != "</g>" else -1
        if depth == 0:
            return svg[start : start + tag.end()]
    raise ValueError("a group of the SVG has no end")


def _panel_id(index: int) -> str:
    return f"panel-{index}"


def inline(svg: str, prefix: str, alt: str) -> str:
    """The SVG as an element of a page, with an accessible name and in the page's colours and font.

    Args:
        svg: text of an SVG file.
        prefix: makes ids unique among the page's other charts.
        alt: alternative text.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(style|title)\b.*?</\1>\s*", "", svg, flags=re.DOTALL)
    svg = _in_tags(svg, lambda tag: _of_the_page(tag, prefix))
    root, rest = svg.split(">", 1)
    root = re.sub(r'\s(width|height|version|xmlns:xlink|xmlns)="[^"]*"', "", root)
    css = f"{_STROKES}; font-family: var(--sans)"
    return f'{root} role="img" aria-label="{escape(alt)}" style="{css}">{rest}'.strip()


def _in_tags(svg: str, change: Callable[[str], str]) -> str:
    return _TAG.sub(lambda match: change(match.group()), svg)


def _of_the_page(tag: str, prefix: str) -> str:
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(colour, variable)
    tag = tag.replace("xlink:href", "href")
    return _ID.sub(lambda match: f"{match.group()}{prefix}", tag)
