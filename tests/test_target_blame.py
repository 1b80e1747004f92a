"""Whose line holds the loop: places, spots and shares, without a loop."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from target_app.blame.places import Frame, Places, line_of, stack_of
from target_app.blame.tally import Sample, Tally, shares

APP, OURS = "/home/shop", "/tmp/scratch"
LIBRARY = "/venv/lib/python3.12/site-packages/lib/core.py"
DISPATCHER = "/venv/lib/python3.12/site-packages/starlette/routing.py"
MACHINERY = "/venv/lib/python3.12/site-packages/uvicorn/server.py"


@pytest.fixture
def places() -> Places:
    return Places(APP, OURS)


def code_of(path: str, name: str = "f") -> CodeType:
    return compile(f"def {name}(): pass", path, "exec").co_consts[0]  # type: ignore[no-any-return]


def frame(path: str, line: int, module: str = "m") -> Frame:
    return Frame(code_of(path), -1, line, module)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"{APP}/shop/main.py", "shop/main.py"),
        ("/home/common/db.py", "../common/db.py"),
        ("/venv/lib/python3.12/site-packages/datastore/app.py", "datastore/app.py"),
        (f"{APP}/.venv/lib/python3.12/site-packages/datastore/app.py", "datastore/app.py"),
        (LIBRARY, None),
        ("/venv/lib/python3.12/site-packages/datastores/app.py", None),
        (f"{APP}/templates/index.html", None),
        (f"{OURS}/loopwise_probe.py", None),
        ("<string>", None),
        (json.__file__, None),
    ],
)
def test_the_apps_own_files_are_shown_from_its_folder_or_its_package_on(path: str, shown: str | None) -> None:
    places = Places(APP, OURS, "datastore")
    assert (places.shown(path) if places.is_own(path) else None) == shown


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (f"{APP}/main.py", "app"),
        (f"{APP}/.venv/lib/python3.12/site-packages/lib/core.py", "library"),
        (LIBRARY, "library"),
        ("/home/shopping/main.py", "library"),
        ("/usr/lib/python3/dist-packages/lib.py", "library"),
        (DISPATCHER, "dispatcher"),
        (MACHINERY, "machinery"),
        (f"{OURS}/loopwise_probe.py", "own"),
        (f"{OURS}/loopwise_blame/probe.py", "border"),
        (f"{OURS}/aiocop/core.py", "machinery"),
        ("<string>", "synthetic"),
        ("<attrs generated init shop.Item>", "synthetic"),
        ("templates_index_html", "synthetic"),
        ("<frozen importlib._bootstrap>", "machinery"),
        (json.__file__, "standard"),
        (asyncio.__file__, "machinery"),
    ],
)
def test_a_path_belongs_to_the_app_a_library_or_what_runs_the_loop(path: str, kind: str, places: Places) -> None:
    assert places.kind(path) == kind


def test_below_the_root_of_all_folders_everything_that_is_not_installed_is_the_apps() -> None:
    everywhere = Places("/", OURS)
    paths = ("/home/shopping/main.py", LIBRARY, json.__file__)
    assert [everywhere.kind(path) for path in paths] == ["app", "library", "standard"]


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ([(f"{APP}/a.py", 3)], (f"{APP}/a.py", 3, True)),
        ([(LIBRARY, 9), (f"{APP}/a.py", 3), (f"{APP}/b.py", 4)], (f"{APP}/a.py", 3, True)),
        ([(LIBRARY, 9), (DISPATCHER, 1), (f"{APP}/middleware.py", 4)], (LIBRARY, 9, False)),
        ([(DISPATCHER, 1), (f"{APP}/middleware.py", 4)], (DISPATCHER, 1, False)),
        ([(json.__file__, 5), (MACHINERY, 2)], (json.__file__, 5, False)),
        ([(MACHINERY, 2)], None),
        ([("<string>", 4), (f"{APP}/a.py", 3)], (f"{APP}/a.py", 3, True)),
        ([("<string>", 4), (LIBRARY, 9), (DISPATCHER, 1)], (LIBRARY, 9, False)),
        ([(json.__file__, 5), (f"{OURS}/loopwise_probe.py", 2)], None),
        ([(LIBRARY, 9), (f"{OURS}/loopwise_blame/probe.py", 2), (f"{OURS}/loopwise_probe.py", 1)], (LIBRARY, 9, False)),
        ([], None),
    ],
)
def test_the_line_to_blame_is_the_apps_innermost_that_the_route_called(
    stack: list[tuple[str, int]], expected: tuple[str, int, bool] | None, places: Places
) -> None:
    spot = places.spot([frame(path, line) for path, line in stack])
    assert (spot and spot[:3]) == expected


def test_the_callee_is_the_function_that_the_line_was_in(places: Places) -> None:
    spot = places.spot([frame(LIBRARY, 9, "lib.core"), frame(f"{APP}/a.py", 3)])
    assert spot is not None
    assert spot.callee == "lib.core.f"


async def waits() -> None:
    """A coroutine whose code is taken."""


@pytest.mark.parametrize(
    ("stack", "site"),
    [
        ([(f"{APP}/a.py", 3, True)], 3),
        ([(f"{APP}/a.py", 3, False), (LIBRARY, 9, False), (f"{APP}/b.py", 4, True), (f"{APP}/c.py", 5, True)], 4),
        ([(f"{APP}/a.py", 3, False), (DISPATCHER, 1, False), (f"{APP}/middleware.py", 4, True)], None),
        ([(f"{APP}/a.py", 3, False), (LIBRARY, 9, True)], None),
    ],
)
def test_the_innermost_async_def_of_the_app_is_named_with_its_line(
    stack: list[tuple[str, int, bool]], site: int | None, places: Places
) -> None:
    frames = [
        frame(path, line)._replace(code=waits.__code__.replace(co_filename=path) if is_async else code_of(path))
        for path, line, is_async in stack
    ]
    spot = places.spot(frames)
    assert spot is not None
    assert (spot.site and spot.site.line) == site
    assert spot.site is None or spot.site.function == "waits"


def test_a_stack_is_copied_from_the_innermost_frame_outwards() -> None:
    def inner(copy: Callable[[Any], Any]) -> Any:
        return copy(sys._getframe())

    names = [each.code.co_name for each in inner(stack_of)]
    assert names[:2] == ["inner", "test_a_stack_is_copied_from_the_innermost_frame_outwards"]


def look(since: int, at: int, *lines: tuple[str, int]) -> Sample:
    return Sample(since, at, Places(APP, OURS).spot([frame(path, line) for path, line in lines]))


MINE, OTHER = (f"{APP}/a.py", 3), (f"{APP}/a.py", 4)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([look(0, 100, MINE)], {3: 1.0}),
        ([look(0, 25, MINE), look(25, 100, OTHER)], {3: 0.25, 4: 0.75}),
        ([look(-900, 50, MINE), look(50, 900, OTHER)], {3: 0.5, 4: 0.5}),
        ([look(200, 300, MINE)], {}),
        ([look(0, 50, MINE), look(50, 100, (MACHINERY, 1))], {3: 1.0}),
        ([look(0, 50, MINE), look(50, 100, (DISPATCHER, 7))], {3: 1.0}),
        ([], {}),
    ],
)
def test_each_look_stands_for_the_time_before_it_within_the_callback(
    looks: list[Sample], expected: dict[int, float], places: Places
) -> None:
    found = shares(places, looks, 0, 100)
    assert {spot.line: share for spot, share in found.items()} == expected


def test_a_tally_adds_up_what_lines_had_and_what_nobody_saw(places: Places) -> None:
    mine, other = (places.spot([frame(*each)]) for each in (MINE, OTHER))
    assert mine is not None
    assert other is not None
    tally = Tally()
    tally.blame(100, {mine: 0.25, other: 0.75})
    tally.blame(40, {mine: 1.0})
    tally.blame(7, {})
    told = tally.as_json()
    assert (told["held"], told["held_ns"], told["unseen_ns"]) == (3, 147, 7)
    found = {
        each["line"]: (each["total_ns"], each["longest_ns"], each["times"], Path(each["path"]).name)
        for each in told["spots"]
    }
    assert found == {3: (65, 40, 2, "a.py"), 4: (75, 75, 1, "a.py")}


def test_short_callbacks_of_equal_length_stand_for_those_that_no_sample_hit(places: Places) -> None:
    mine, other = (places.spot([frame(*each)]) for each in (MINE, OTHER))
    assert mine is not None
    assert other is not None
    tally = Tally()
    for number in range(100):
        found = {} if number % 2 else {mine: 1.0} if number % 4 else {other: 1.0}
        tally.pass_over(1_400_000, found, sampled=number % 2 == 0)
    tally.pass_over(9_000, {mine: 1.0}, sampled=True)
    found_lines = {each["line"]: (each["times"], each["total_ns"]) for each in tally.as_json()["brief"]}
    assert found_lines == {3: (50, 70_000_000), 4: (50, 70_000_000)}


def test_a_few_sampled_callbacks_do_not_stand_for_thousands(places: Places) -> None:
    mine = places.spot([frame(*MINE)])
    assert mine is not None
    tally = Tally()
    for number in range(1000):
        tally.pass_over(400_000, {mine: 1.0} if number < 4 else {}, sampled=number < 4)
    assert tally.as_json()["brief"] == []


def test_an_instruction_without_a_line_has_the_one_before() -> None:
    code = compile("a = 1\n\nb = 2\n", "own.py", "exec")
    last = max(start for start, _, _ in code.co_lines())
    assert line_of(code, last, None) == 3
    assert line_of(code, -1, None) == code.co_firstlineno
    assert line_of(code, last, 7) == 7
