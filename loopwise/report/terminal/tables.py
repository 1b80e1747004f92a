"""Tables that break lines only between words, and become a list of blocks where the terminal is too narrow for that."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

GAP = 2
"""Between columns."""
LONGEST = 24
"""What is longer is no word but a path, an address or an id, which may break behind its signs."""
_WORD = re.compile(r"^\s+|(?:\[[^\]]{1,22}\]\S*|\S+)\s*")
"""A word, or an interval in brackets, with the blanks behind it."""
_PART = re.compile(r"[^/_.:=&?-]*[/_.:=&?-]+|[^/_.:=&?-]+")


@dataclass(frozen=True)
class WordTable:
    """Rows below headings; texts of others are `plain` ones."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Text | str]]
    right: Collection[str] = ()
    """Headings of columns that are aligned to the right."""
    title: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay it out for the available width."""
        if self.title:
            yield Text(self.title, style="italic")
        columns = [[_text(cell) for cell in column] for column in zip(self.headings, *self.rows, strict=True)]
        room = options.max_width - GAP * (len(columns) - 1)
        widths = column_widths([(_least(column), _natural(column)) for column in columns], room)
        yield self._table(columns, widths) if widths else self._blocks(columns, options.max_width)

    def _table(self, columns: Sequence[Sequence[Text]], widths: Sequence[int]) -> RenderableType:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
        for heading, width in zip(self.headings, widths, strict=True):
            side: Literal["left", "right"] = "right" if heading in self.right else "left"
            table.add_column(broken(_text(heading), width), width=width, justify=side, overflow="fold")
        for row in zip(*(column[1:] for column in columns), strict=True):
            table.add_row(*(broken(cell, width) for cell, width in zip(row, widths, strict=True)))
        return table

    def _blocks(self, columns: Sequence[Sequence[Text]], width: int) -> RenderableType:
        """The first column as headings, the others below with their names."""
        grid = Table.grid()
        for row in zip(*(column[1:] for column in columns), strict=True):
            grid.add_row(broken(Text.assemble(row[0], style="bold"), width))
            for heading, cell in zip(self.headings[1:], row[1:], strict=True):
                if cell.plain:
                    named = Text.assemble((f"{heading}: ", "dim"), cell) if heading else cell
                    grid.add_row(Padding(broken(named, width - 2), (0, 0, 0, 2)))
        return grid


def column_widths(needs: Sequence[tuple[int, int]], room: int) -> list[int]:
    """Widths that fit the room: at least each column's longest word, at most its longest line; empty: none do.

    Args:
        needs: least and natural width of each column.
        room: for all of them.
    """
    widths = [least for least, _ in needs]
    spare = room - sum(widths)
    if spare < 0:
        return []
    while spare > 0 and (wanting := [index for index, (_, natural) in enumerate(needs) if widths[index] < natural]):
        # Those that want most are longest and gain most lines.
        index = max(wanting, key=lambda each: needs[each][1] / widths[each])
        widths[index] += 1
        spare -= 1
    return widths


def broken(text: Text, width: int) -> Text:
    """The text on lines of at most this width, broken between words and behind the signs of paths and ids."""
    lines: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        offsets = list(_breaks(line.plain, width))
        lines += line.divide(offsets) if offsets else [line]
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)


def _breaks(line: str, width: int) -> Iterator[int]:
    """Offsets at which a line begins anew."""
    at, used = 0, 0
    for piece in _pieces(line):
        if used and used + cell_len(piece.rstrip()) > width:
            yield at
            used = 0
        for char in piece:
            used += cell_len(char)
            if used > width and not char.isspace():
                yield at
                used = cell_len(char)
            at += 1


def _pieces(line: str) -> Iterator[str]:
    """What is not broken while there is room, in order and with the blanks between."""
    for word in _WORD.findall(line):
        yield from [word] if cell_len(word.rstrip()) <= LONGEST else _PART.findall(word)


def _least(column: Sequence[Text]) -> int:
    pieces = (piece.rstrip() for cell in column for piece in _pieces(cell.plain))
    return max([1, *(min(cell_len(piece), LONGEST) for piece in pieces)])


def _natural(column: Sequence[Text]) -> int:
    return max([1, *(cell_len(line) for cell in column for line in cell.plain.split("\n"))])


def _text(cell: Text | str) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)
