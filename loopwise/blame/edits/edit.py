"""An edit of an app's source, and why there is none."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import libcst

from loopwise.errors import UsageError


class CollisionError(UsageError):
    """Edits that can't be made together; the message names the line."""


class NotPossibleError(Exception):
    """A candidate can't be made here; the message is the reason, without the place."""


class Span(NamedTuple):
    """What a node of the source covers: lines from 1, columns in characters from 0; parentheses around it left out."""

    line: int
    column: int
    end_line: int
    end_column: int

    def overlaps(self, other: "Span") -> bool:
        """Whether they share a character."""
        return self[:2] < other[2:] and other[:2] < self[2:]

    def contains(self, other: "Span") -> bool:
        """Whether the other one is a part of it."""
        return self != other and self[:2] <= other[:2] and other[2:] <= self[2:]


@dataclass(frozen=True)
class Rewrite:
    """A node that becomes another one."""

    span: Span
    build: Callable[[Any], Any]
    """From the node, with what is rewritten inside of it, to the new one; libcst.RemovalSentinel removes it."""
    node: Literal["expression", "statement", "block"] = "expression"
    """Its kind, since an expression can be all of a statement; a function or block is found by where it begins."""
    holds_parts: bool = False
    """Whether it leaves what lies inside of it where it is evaluated, so that this may be rewritten as well."""

    def collides(self, other: "Rewrite") -> bool:
        """Whether both can't be done."""
        if "block" in {self.node, other.node}:
            return self.node == other.node and self.span == other.span
        if (self.holds_parts and self.span.contains(other.span)) or (
            other.holds_parts and other.span.contains(self.span)
        ):
            return False
        return self.span.overlaps(other.span)


@dataclass(frozen=True)
class Change:
    """What an edit does to the tree of a file; places are those in the file as it is."""

    line: int
    words: str
    rewrites: tuple[Rewrite, ...]
    imports: tuple[str, ...] = ()
    """Statements that stand among the imports afterwards: `import asyncio`."""
    statements: tuple[tuple[str, int | None], ...] = ()
    """Statements of the module, and the line of the one that each must precede; None: right after the imports."""
    awaits: Span | None = None
    """The function that has to stay `async def`."""
    flips: Span | None = None
    """The function that changes between `def` and `async def`."""


@dataclass(frozen=True)
class Edit:
    """An edited file."""

    kind: str
    """Key of CANDIDATES."""
    where: str
    """`shop/report.py:41`, relative to the app's folder."""
    words: str
    """What the code becomes, on one line: `await asyncio.to_thread(requests.get, url)`."""
    path: str
    """Of the file, relative to the app's folder, with slashes."""
    source: str
    """The whole edited file."""
    diff: str
    """Unified, with a/ and b/ before paths relative to the app's folder; `git apply` and `patch -p1` take it."""
    original: str = field(default="", repr=False)
    """The file as it is."""
    changes: tuple[Change, ...] = field(default=(), repr=False, compare=False)

    def as_json(self) -> dict[str, str]:
        """Plain data for JSON; the whole file is left out."""
        return {name: getattr(self, name) for name in ("kind", "where", "words", "path", "diff")}


@dataclass(frozen=True)
class NoEdit:
    """A candidate that can't be made, and why."""

    kind: str
    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.reason}"

    def as_json(self) -> dict[str, str]:
        """Plain data for JSON."""
        return {"kind": self.kind, "where": self.where, "reason": self.reason}


@dataclass(frozen=True)
class Offer:
    """The edits of one line or endpoint, and the candidates that can't be made there."""

    edits: tuple[Edit, ...] = ()
    refused: tuple[NoEdit, ...] = ()


REMOVED = libcst.RemoveFromParent()
