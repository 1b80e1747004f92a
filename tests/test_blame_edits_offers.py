"""Edits of endpoints, several edits as one, odd files, and how edits are shown."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from support.edits import MARKS, line_at, marked, of_kind, whole

from loopwise.blame.edits import CollisionError, Edit, merged, offer_for, offer_of_endpoint
from loopwise.blame.edits.fixes import Fixes, shown
from loopwise.blame.findings import Findings
from loopwise.blame.sarif import sarif
from loopwise.blame.watched import Site
from target_app.blame.places import Places, stack_of

ROUTE = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/x")
{line}  # a comment
    return 1
"""


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("def", "async def f(x: int = 1) -> int:", "def f(x: int = 1) -> int:"),
        ("async_def", "def f():", "async def f():"),
    ],
)
def test_an_endpoint_changes_between_def_and_async_def(kind: str, before: str, after: str, tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_text(ROUTE.format(line=before), encoding="utf-8")
    edit = of_kind(offer_of_endpoint(path, 7, tmp_path), kind)
    assert edit.source == ROUTE.format(line=after)
    assert edit.where == "app.py:8"


# Name -> a module with function f, a part of the reason.
KEPT = {
    "awaits": ("@app.get('/')\nasync def f():\n    await g()\n", "f awaits (line 3)"),
    "asynchronous for": ("@app.get('/')\nasync def f():\n    return [x async for x in g()]\n", "f awaits (line 3)"),
    "a generator": ("@app.get('/')\nasync def f():\n    yield 1\n", "f is a generator"),
    "needs the loop": ("import asyncio\n@app.get('/')\nasync def f():\n    asyncio.create_task(g())\n", "needs the"),
    "another decorator": ("@app.get('/')\n@cached(1)\nasync def f():\n    pass\n", "decorator cached(1) (line 2)"),
    "a decorator without a path": ("@cache.get('key')\nasync def f():\n    pass\n", "decorator cache.get('key')"),
    "another caller": ("@app.get('/')\nasync def f():\n    pass\nasync def g():\n    await f()\n", "used at app.py:5"),
    "blocks": ("import time\n@app.get('/')\ndef f():\n    time.sleep(1)\n", "time.sleep (line 4) would hold"),
    "runs a loop": ("import asyncio\n@app.get('/')\ndef f():\n    asyncio.run(g())\n", "where an event loop runs"),
}  # fmt: skip


@pytest.mark.parametrize("case", KEPT)
def test_a_function_that_is_needed_as_it_is_stays(case: str, tmp_path: Path) -> None:
    text, reason = KEPT[case]
    path = tmp_path / "app.py"
    path.write_text(text, encoding="utf-8")
    line = next(number for number, row in enumerate(text.splitlines(), start=1) if "def f" in row)
    offer = offer_of_endpoint(path, line, tmp_path)
    assert offer.edits == ()
    assert any(reason in each.reason for each in offer.refused), offer.refused


def test_a_function_that_another_module_awaits_stays(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("@app.get('/')\nasync def f():\n    pass\n", encoding="utf-8")
    (tmp_path / "other.py").write_text("from app import f\n", encoding="utf-8")
    offer = offer_of_endpoint(tmp_path / "app.py", 2, tmp_path)
    assert [each.reason for each in offer.refused] == ["f is used at other.py:1, where it is needed as it is"]


def test_a_helper_that_is_no_endpoint_stays_async(tmp_path: Path) -> None:
    offer = offer_for(marked(tmp_path, whole("import time\n", "«time.sleep(1)»")), tmp_path)
    assert [each.kind for each in offer.edits] == ["asyncio_sleep", "to_thread"]
    assert any("f is no endpoint" in each.reason for each in offer.refused)


TWO = dedent(
    """
    import json, time

    async def f():
        time.sleep(1)
        return json.loads(open("x").read())
    """
)


def two(folder: Path) -> list[Edit]:
    """Edits of three expressions of one function, one of which lies in another."""
    path = folder / "app.py"
    path.write_text(TWO, encoding="utf-8")
    rows = TWO.splitlines()
    found = []
    for line, text in ((5, "time.sleep(1)"), (6, 'json.loads(open("x").read())'), (6, 'open("x").read()')):
        start = rows[line - 1].index(text)
        found.append(
            of_kind(offer_for(line_at(path, line, (line, line, start, start + len(text))), folder), "to_thread")
        )
    return found


def test_edits_of_one_file_become_one_text_and_one_diff(tmp_path: Path) -> None:
    edits = two(tmp_path)
    one = merged([*edits, edits[0]])
    assert one.sources["app.py"].splitlines()[1:] == [
        "import asyncio",
        "import json, time",
        "",
        "async def f():",
        "    await asyncio.to_thread(time.sleep, 1)",
        '    return await asyncio.to_thread(json.loads, await asyncio.to_thread(open("x").read))',
    ]
    for command in (["git", "apply", "-"], ["patch", "-p1"]):
        (tmp_path / "app.py").write_text(TWO, encoding="utf-8")
        subprocess.run(command, cwd=tmp_path, input=one.diff, text=True, check=True, capture_output=True)
        assert (tmp_path / "app.py").read_text(encoding="utf-8") == one.sources["app.py"]


def test_what_two_edits_add_to_the_module_stands_there_once(tmp_path: Path) -> None:
    body = "return {json}, {zlib}"
    edits = [
        of_kind(offer_for(marked(tmp_path, whole("import json\nimport zlib\n", each)), tmp_path), "process")
        for each in ("return «json.loads(x)», zlib.compress(y)", "return json.loads(x), «zlib.compress(y)»")
    ]
    source = merged(edits).sources["app.py"]
    run = "await asyncio.get_running_loop().run_in_executor(_PROCESSES, "
    assert body.format(json=f"{run}json.loads, x)", zlib=f"{run}zlib.compress, y)") in source
    assert [source.count(each) for each in ("ProcessPoolExecutor(", "import asyncio\n")] == [1, 1]


def test_edits_of_the_same_code_collide_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    text = ROUTE.format(line="async def f():").replace("return 1", "«g()»")
    offer = offer_for(marked(tmp_path, text), tmp_path)
    assert {each.kind for each in offer.edits} == {"to_thread", "def"}
    with pytest.raises(CollisionError, match=r"app\.py: line .* change the same code"):
        merged(offer.edits)
    assert path.read_text(encoding="utf-8") == MARKS.sub("", text)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"# coding: latin-1\nasync def f():\n    g()\n", "its encoding is iso-8859-1"),
        (b"\xef\xbb\xbfasync def f():\n\n    g()\n", "its encoding is utf-8-sig"),
        (b"async def f(:\n\n    g()\n", "can't be read as Python"),
        (b"x = 1\n\n\n", "no such function"),
    ],
)
def test_a_file_that_cannot_be_edited_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_bytes(content)
    offer = offer_for(line_at(path, 3, (3, 3, 4, 7)), tmp_path)
    assert offer.edits == ()
    assert reason in offer.refused[0].reason


def test_a_file_outside_of_the_apps_folder_is_not_edited(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    line = marked(tmp_path, whole("import time\n", "«time.sleep(1)»"))
    offer = offer_for(line, tmp_path / "app")
    assert "lies outside of the app's folder" in offer.refused[0].reason


@pytest.mark.parametrize(("body", "is_offered"), [("x = g(1)", True), ("x = g(h())", False), ("x = 1", False)])
def test_without_columns_the_only_call_of_a_line_is_moved(body: str, is_offered: bool, tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_text(whole("", body), encoding="utf-8")
    offer = offer_for(line_at(path, 2, None), tmp_path)
    assert bool(offer.edits) == is_offered
    if not is_offered:
        assert "only Python 3.11 or newer tells" in offer.refused[0].reason


def test_line_ends_and_a_missing_last_one_stay(tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    text = "import time\r\n\r\nasync def f():\r\n    time.sleep(1)"
    path.write_bytes(text.encode())
    edit = of_kind(offer_for(line_at(path, 4, (4, 4, 4, 17)), tmp_path), "to_thread")
    expected = "import asyncio\r\nimport time\r\n\r\nasync def f():\r\n    await asyncio.to_thread(time.sleep, 1)"
    assert edit.source == expected
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=edit.diff.encode(), check=True)
    assert path.read_bytes() == expected.encode()


def test_an_edited_function_answers_as_before(tmp_path: Path) -> None:
    text = "import math\n\n\nasync def f(n):\n    return [«math.factorial(n)»][0] + sum(k for k in range(n))\n"
    edit = of_kind(offer_for(marked(tmp_path, text), tmp_path), "to_thread")
    answers = []
    for source in (MARKS.sub("", text), edit.source):
        names: dict[str, Any] = {}
        exec(compile(source, "app.py", "exec"), names)
        answers.append(asyncio.run(names["f"](20)))
    assert answers[0] == answers[1] == 2432902008176640190


def test_sarif_has_the_edits_as_lines_that_are_replaced(tmp_path: Path) -> None:
    line = marked(tmp_path, whole("import time\n", "«time.sleep(1)»"))
    offer = offer_for(line, tmp_path)
    log = json.loads(sarif(Findings(lines=[line]), tmp_path, None, Fixes([offer], [])))
    fixes = log["runs"][0]["results"][0]["fixes"]
    assert [each["description"]["text"] for each in fixes] == [f"{each.kind}: {each.words}" for each in offer.edits]
    for fix, edit in zip(fixes, offer.edits, strict=True):
        (change,) = fix["artifactChanges"]
        assert change["artifactLocation"]["uri"] == "app.py"
        text, rows = edit.original, edit.original.splitlines(keepends=True)
        for each in reversed(change["replacements"]):
            start, end = (
                sum(map(len, rows[: each["deletedRegion"][f"{side}Line"] - 1]))
                + each["deletedRegion"][f"{side}Column"]
                - 1
                for side in ("start", "end")
            )
            text = text[:start] + each["insertedContent"]["text"] + text[end:]
        assert text == edit.source


def test_a_terminal_shows_the_lines_that_change_and_what_cannot_be_made(tmp_path: Path) -> None:
    line = marked(tmp_path, whole("import time\n", "«time.sleep(1)»"))
    assert list(shown(offer_for(line, tmp_path))) == [
        "  asyncio_sleep: await asyncio.sleep(1)",
        "    +import asyncio",
        "    -    time.sleep(1)",
        "    +    await asyncio.sleep(1)",
        "  to_thread: await asyncio.to_thread(time.sleep, 1)",
        "    +import asyncio",
        "    -    time.sleep(1)",
        "    +    await asyncio.to_thread(time.sleep, 1)",
        "  no def: f is no endpoint as far as its decorators tell, so others may await it",
    ]


LOOKED_AT = """
def deep(value):
    return look(value)


class Box:
    def get(self, value):
        return deep(value)


async def inner(box):
    return box.get(1)


async def f(box, name="äöü"):
{body}
"""
# Body of `async def f(box)` during whose call the stack is copied -> what the code becomes.
SEEN = {
    "return 'ä' + str(deep(2))": "await asyncio.to_thread(deep, 2)",
    "return deep(deep.__name__) or name": "await asyncio.to_thread(deep, deep.__name__)",
    "return (box\n        .get(3))": "await asyncio.to_thread(box.get, 3)",
    "return [look(n) for n in range(1)]": "await asyncio.to_thread(lambda: [look(n) for n in range(1)])",
    "return sum(look(n) for n in range(1))": "await asyncio.to_thread(sum, (look(n) for n in range(1)))",
    "return list(map(look, [1]))": "await asyncio.to_thread(list, map(look, [1]))",
    "return max([1], key=lambda n: look(n))": "await asyncio.to_thread(max, [1], key=lambda n: look(n))",
    "return await inner(box)": "await asyncio.to_thread(box.get, 1)",
}


@pytest.mark.parametrize("body", SEEN)
def test_the_call_of_the_async_def_is_edited_wherever_it_leads(body: str, tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_text(LOOKED_AT.format(body=f"    {body}"), encoding="utf-8")
    places, spots = Places(str(tmp_path), "/nowhere"), []

    def look(value: object) -> int:
        spots.append(places.spot(stack_of(sys._getframe())))
        return 1

    names: dict[str, Any] = {"look": look}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    asyncio.run(names["f"](names["Box"]()))
    (spot,) = spots
    assert spot is not None
    assert spot.site is not None
    line = line_at(path, spot.line, spot.columns).model_copy(update={"site": Site(**spot.site._asdict())})
    assert of_kind(offer_for(line, tmp_path), "to_thread").words == SEEN[body]
