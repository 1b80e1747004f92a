"""What a line of an app's source calls."""

from pathlib import Path

import pytest

from loopwise.servers.source import called, waits_in


@pytest.mark.parametrize(
    ("text", "name"),
    [("f(1)", "f"), ("await a.b(c)", "a.b"), ("x + 1", None), ("for x in y", None), ("f(\n1)", "f")],
)
def test_only_a_call_has_a_function(text: str, name: str | None, tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(text, encoding="utf-8")
    lines = text.splitlines()
    assert called(str(path), [1, len(lines), 0, len(lines[-1])]) == name


@pytest.mark.parametrize(
    ("statement", "callee", "words"),
    [
        ("with lock:", None, "with lock"),
        ("with self.places[0], other:", "Semaphore.acquire", "with self.places[0]"),
        ("async with places:", "Semaphore.acquire", "async with places"),
        ("async with pool.acquire() as connection:", "PoolAcquireContext.__aenter__", "pool.acquire"),
        ("with a() as x, engine.connect() as y:", "Engine.connect", "engine.connect"),
        ("for row in cursor:", "Cursor.__next__", "cursor"),
        ("async for row in db.stream(query):", None, "db.stream"),
        ("rows = db.execute(text(query))", "Session.execute", "db.execute"),
        ("rows = db.execute(\n        query,\n    )", None, "db.execute"),
        ("return await fetch(1)", None, "fetch"),
        ("return one(two(1))", "Other.run", "Other.run"),
        ("return one(two(1))", None, "return one(two(1))"),
        ("total += 1", None, "total += 1"),
        ("elif x:", "Item.__bool__", "Item.__bool__"),
        (f"x = {'very_' * 20}long", None, f"x = {'very_' * 20}"[:59] + "…"),
        (r"re.match('\d', x)", None, "re.match"),
    ],
)
def test_a_line_without_columns_waits_in_its_call_or_its_manager(
    statement: str, callee: str | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.py"
    path.write_text(f"async def f():\n    {statement}\n        pass\n", encoding="utf-8")
    assert waits_in(str(path), 2, None, callee) == words


def test_columns_of_a_call_decide(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("one(two(1))", encoding="utf-8")
    assert waits_in(str(path), 1, [1, 1, 4, 10], None) == "two"


def test_source_that_is_gone_leaves_the_function(tmp_path: Path) -> None:
    assert waits_in(str(tmp_path / "x.py"), 2, [2, 2, 0, 3], "Session.execute") == "Session.execute"
    assert waits_in(str(tmp_path / "x.py"), 2, None, None) == ""
