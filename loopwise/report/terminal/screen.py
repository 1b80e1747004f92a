"""The terminal: nothing that is printed on it can command it, whoever wrote the text."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from loopwise.visible import clean, visible


class Screen(Console):
    """Shows control characters as escapes and markup as text, in whatever is printed.

    Tables are laid out before that: texts of others go through `plain`, or an escape may not fit its column.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Lay out; segments that Rich itself made to move the cursor stay as they are."""
        for segment in super().render(renderable, options):
            is_safe = segment.control or segment.text.isprintable()
            yield segment if is_safe else Segment(visible(segment.text), segment.style)


def plain(text: str, style: str = "") -> Text:
    """A text of others on one line: `[red]` in somebody's path is part of the path."""
    return Text(clean(text), style=style)
