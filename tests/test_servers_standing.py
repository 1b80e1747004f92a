"""Looks of the probes at threads and tasks, summed up over the window."""

from pathlib import Path
from typing import Any

import pytest

from loopwise.model import WaitPlace
from loopwise.servers.standing import waits_at

SOURCE = "def f():\n    with lock:\n        db.execute(1)\n        time.sleep(1)\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "repo.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "common.py").write_text("x = fetch(1)\n", encoding="utf-8")
    return tmp_path / "shop"


def at(path: Path, line: int, number: float, callee: str | None = None) -> list[Any]:
    return [str(path), line, "f", None, callee, number]


def look(time_ns: int, **kinds: Any) -> dict[str, Any]:
    stands = {kind: {"of": sum(each[-1] for each in places), "at": places} for kind, places in kinds.items()}
    return {"time_ns": time_ns, "stands": stands}


def told(places: tuple[WaitPlace, ...]) -> list[tuple[str, str, str, float, float]]:
    return [(each.kind, each.place, each.call, each.count, each.share) for each in places]


def test_numbers_are_means_over_the_window_and_sums_over_the_workers(shop: Path) -> None:
    repo = shop / "repo.py"
    logs = {
        7: [
            look(5, threads=[at(repo, 4, 40)]),
            look(10, threads=[at(repo, 2, 36), at(repo, 3, 4)]),
            look(15, threads=[at(repo, 2, 34), at(repo, 3, 6)], tasks=[at(shop.parent / "common.py", 1, 3)]),
            {"time_ns": 17},
            look(25, threads=[at(repo, 4, 40)]),
        ],
        8: [look(20, threads=[at(repo, 2, 10)])],
    }
    assert told(waits_at(logs, 10, 20, str(shop))) == [
        ("thread", "repo.py:2", "with lock", 45, 0.9),
        ("thread", "repo.py:3", "db.execute", 5, 0.1),
        ("task", "../common.py:1", "fetch", 3, 1),
    ]


def test_a_loop_is_counted_by_the_looks_at_it_and_once_is_not_enough(shop: Path) -> None:
    repo = shop / "repo.py"
    held, once = look(1, threads=[], loop=[at(repo, 4, 1)]), look(1, threads=[], loop=[at(repo, 3, 1)])
    logs = {7: [held, held, held, look(1, threads=[])], 8: [once, look(1, threads=[])]}
    assert told(waits_at(logs, 0, 9, str(shop))) == [("loop", "repo.py:4", "time.sleep", 0.75, 0.375)]


def test_a_place_that_is_hardly_ever_stood_at_is_left_out(shop: Path) -> None:
    repo = shop / "repo.py"
    logs = {7: [look(1, threads=[at(repo, 2, 99), at(repo, 3, 1)])]}
    assert [each.place for each in waits_at(logs, 0, 9, str(shop))] == ["repo.py:2"]


def test_the_line_of_an_installed_app_is_told_from_its_package_on(shop: Path) -> None:
    logs = {7: [look(1, threads=[at(shop / "lib/python3.12/site-packages/chroma/api.py", 2, 3)])]}
    assert [each.place for each in waits_at(logs, 0, 9, str(shop))] == ["chroma/api.py:2"]


def test_workers_without_looks_stand_nowhere(shop: Path) -> None:
    assert waits_at({7: [{"time_ns": 5}, look(6, threads=[])], 8: []}, 0, 9, str(shop)) == ()


def test_a_line_of_an_edited_file_is_read_in_the_edited_text(shop: Path) -> None:
    repo, text = shop / "repo.py", shop.parent / "0.py"
    text.write_text(SOURCE.replace("db.execute(1)", "pool.acquire()"), encoding="utf-8")
    logs = {7: [look(1, threads=[at(repo, 3, 1)])]}
    (place,) = waits_at(logs, 0, 9, str(shop), {str(repo.resolve()): str(text)})
    assert (place.place, place.call) == ("repo.py:3", "pool.acquire")
