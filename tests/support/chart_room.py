"""Whether the texts of a figure have room: inside it, and none over another."""

from collections.abc import Iterator
from itertools import combinations

from matplotlib.figure import Figure
from matplotlib.text import Text

from loopwise.report.charts.kit import style
from loopwise.report.charts.kit.frame import Panel, single


def panel_figure(panel: Panel) -> Figure:
    """A panel alone on its figure."""
    with style.figure_style():
        return single(panel.height_in, panel.draw)


def assert_texts_have_room(figure: Figure) -> None:
    """No text leaves the figure or lies over another; there is at least one."""
    with style.figure_style():
        boxes = [(text.get_text(), text.get_window_extent()) for text in drawn_texts(figure)]
    assert boxes
    whole = figure.bbox
    for text, box in boxes:
        assert whole.x0 <= box.x0, text
        assert box.x1 <= whole.x1, text
        assert whole.y0 <= box.y0, text
        assert box.y1 <= whole.y1, text
    # Line boxes include room above and below the letters; a point of that may be shared.
    slack = figure.dpi / 72
    by_top = sorted(boxes, key=lambda pair: pair[1].y0)
    for (text, box), (other, other_box) in combinations(by_top, 2):
        if other_box.y0 > box.y1:
            continue
        wide = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
        high = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
        assert wide <= 0 or high <= 2 * slack, f"{text!r} overlaps {other!r}"


def assert_every_plot_shows_something(figure: Figure) -> None:
    """No axes without a mark in them."""
    assert figure.axes
    for axes in figure.axes:
        assert axes.lines or axes.patches or axes.collections, "an empty plot"


def drawn_texts(figure: Figure) -> Iterator[Text]:
    """The texts that are seen, tick labels among them."""
    with style.figure_style():
        figure.draw_without_rendering()
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_visible() and text.get_text().strip():
            yield text
