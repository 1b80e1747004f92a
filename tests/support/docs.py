"""What stands in the Markdown files: text, tables by heading, blocks of code, links."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Every Markdown file of the project."""
    folders = (ROOT, DOCS, ROOT / "examples", ROOT / "results" / "showcase")
    found = {path for folder in folders for path in folder.glob("*.md" if folder == ROOT else "**/*.md")}
    return sorted(path for path in found if not any(part.startswith(".") for part in path.parts))


def text_of(name: str) -> str:
    """A page of docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code in that language."""
    return [code for named, code in FENCE.findall(text) if named == language]


def headings(text: str) -> list[str]:
    """The headings, as they are written."""
    return HEADING.findall(FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """What a link's `#…` may name, by GitHub's rule."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(text)}


def links(text: str) -> list[str]:
    """The targets of links and images, but those of other sites."""
    return [to for to in LINK.findall(FENCE.sub("", text)) if not re.match(r"[a-z]+:", to)]


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    pieces = re.split(rf"^#+ +{re.escape(heading)}$", text, maxsplit=1, flags=re.MULTILINE)
    assert len(pieces) == 2, f"there is no heading {heading}"
    return re.split(r"^#+ ", pieces[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str, heading: str, table: int = 0) -> list[list[str]]:
    """One of the tables below a heading: the cells of each row, without backticks."""
    tables = re.findall(r"(?:^\|.*\n)+", section(text, heading), re.MULTILINE)
    lines = tables[table].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def named(text: str, heading: str, table: int = 0) -> list[str]:
    """First column of one of the tables below a heading."""
    return [row[0] for row in rows(text, heading, table)]
