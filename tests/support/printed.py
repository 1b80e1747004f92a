"""What a page and a terminal show."""

import io

from rich.console import Console, RenderableType

from loopwise.report.terminal.tables import LONGEST


def printed(renderable: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, no_color=True, force_terminal=False)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def broken_words(renderable: RenderableType, width: int = 80) -> list[str]:
    """The words that no line shows whole; paths, addresses and long ids may break."""
    whole, narrow = (
        {word.strip(":") for word in printed(renderable, columns).split() if len(word) <= LONGEST}
        for columns in (1_000, width)
    )
    return sorted(whole - narrow)
