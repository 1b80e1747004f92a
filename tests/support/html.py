"""A page as a tree of elements, as a browser would build it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "br", "link", "img", "input"})
CONTAINERS = frozenset({"header", "nav", "main", "section", "figure", "details", "table", "footer"})
TEXTS = frozenset({"h1", "h2", "h3", "h4", "caption", "summary"})


@dataclass
class Element:
    """An element with its attributes and its content, texts as strings."""

    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    content: "list[Element | str]" = field(default_factory=list)

    def __iter__(self) -> "Iterator[Element]":
        """The elements inside, in the order of the page."""
        for each in self.content:
            if isinstance(each, Element):
                yield each
                yield from each

    @property
    def text(self) -> str:
        """All text inside."""
        return "".join(each if isinstance(each, str) else each.text for each in self.content)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of all elements with this tag."""
        return [each.attributes for each in self if each.tag == tag]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].content.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].content.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)


def parse(html: str) -> Element:
    """The page; every element that is opened must be closed."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    (page,) = reader.open
    return page


def outline(element: Element, depth: int = 0) -> Iterator[str]:
    """The structure of a page without its figures: sections, headings, charts, tables with their columns."""
    for each in element.content:
        if not isinstance(each, Element):
            continue
        indent = "  " * depth
        if each.tag in CONTAINERS:
            name = "".join(f"#{each.attributes[key]}" for key in ("id",) if key in each.attributes)
            yield f"{indent}{each.tag}{name}"
            yield from outline(each, depth + 1)
        elif each.tag in TEXTS:
            yield f"{indent}{each.tag}: {' '.join(each.text.split())}"
        elif each.tag == "thead":
            yield f"{indent}{' | '.join(cell.text.strip() for cell in each if cell.tag == 'th')}"
        else:
            yield from outline(each, depth)
