"""A load shape in a suite: what becomes of it, and what is refused before a run."""

import textwrap
import tomllib
from pathlib import Path

import pytest
from support.suite import FakeTarget, suite_file, suite_of

from loopwise.analysis.bounds import bounds
from loopwise.errors import SuiteError, UsageError
from loopwise.generator.client import refuse_scripts
from loopwise.measure.sides import Terms
from loopwise.model import Load, Suite
from loopwise.model.factors import case_factors
from loopwise.suite import load_suite
from loopwise.suite.to_toml import entry, toml

SLEEP = '[[matrix]]\nworkload = "sleep"\nparams = { ms = 5 }\nmode = "async"\n'
SHAPED = '[load]\nshape = "steps.py:Steps"\n' + SLEEP
STEPS = "from locust import LoadTestShape\nclass Steps(LoadTestShape):\n    def tick(self):\n        "


def shaped(folder: Path, text: str = SHAPED, body: str = "return 3, 10", *sets: str) -> Suite:
    (folder / "steps.py").write_text(STEPS + textwrap.indent(body, " " * 8).lstrip(), encoding="utf-8")
    return suite_of(folder, text, *sets)


def test_a_case_is_named_by_its_shape_and_has_no_number_of_users(tmp_path: Path) -> None:
    (case,) = shaped(tmp_path).cases
    assert case.load.shape == f"{tmp_path.resolve()}/steps.py:Steps"
    assert case.case_id == "sleep-ms5-async-w1-uvicorn-shape-steps-steps"
    assert (case.load.label, case.load.fixed_users) == ("shape Steps", None)
    factors = case_factors(case)
    assert (factors["users"], factors["spawn_rate"], factors["shape"]) == (None, None, case.load.shape)
    assert not {bound.kind for bound in bounds(case, cores=2)} & {"users", "arrivals"}


def test_a_case_with_a_shape_survives_the_way_to_toml_and_back(tmp_path: Path) -> None:
    (case,) = shaped(tmp_path).cases
    table = tomllib.loads(f"matrix = [{toml(entry(case))}]")
    assert "users" not in table["matrix"][0]["load"]
    again = suite_file(tmp_path, f"matrix = [{toml(entry(case))}]", "again.toml")
    assert load_suite(str(again), describe=FakeTarget()).cases == (case,)


def test_an_entry_may_take_a_shape_up_or_do_without(tmp_path: Path) -> None:
    up = "[load]\nusers = 7\n" + SLEEP + 'load = { shape = "steps.py:Steps" }\n' + SLEEP
    assert [case.load.label for case in shaped(tmp_path, up).cases] == ["shape Steps", "7 users"]
    without = SHAPED + 'load = { shape = "" }\n' + SLEEP
    assert [case.load.label for case in shaped(tmp_path, without).cases] == ["50 users", "shape Steps"]
    several = SLEEP + 'load = { shape = ["steps.py:Steps", "steps.py:Other"] }'
    assert [case.load.label for case in shaped(tmp_path, several).cases] == ["shape Steps", "shape Other"]


def test_a_shape_that_is_set_replaces_the_users_of_the_file(tmp_path: Path) -> None:
    text = "[load]\nusers = 7\nspawn_rate = 1.0\n" + SLEEP
    (case,) = shaped(tmp_path, text, "return 3, 10", "load.shape=steps.py:Steps").cases
    assert case.load.label == "shape Steps"


def test_what_is_not_written_leaves_older_loads_as_they_were() -> None:
    assert "shape" not in Load().model_dump()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            "return 3, 10, [object]",
            "tick() of Steps returned user classes, allowed is users and users per second alone",
        ),
        ("return 3", "returned 3, allowed is users and users per second, such as (10, 5); correct it"),
        ("return 2.5, 10", "returned 2.5 users, allowed is a whole number from 0 to 100000"),
        ("return 3, 0", "returned 0 users per second, allowed is a number above 0"),
        ("return None", "returned None at the load's start"),
        ("return self.get_current_user_count() + self.none, 1", "line 4)"),
    ],
)
def test_a_shape_that_cannot_be_followed_is_refused_unmeasured(body: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as raised:
        refuse_scripts(shaped(tmp_path, body=body))
    assert str(raised.value).startswith("x: load.shape: steps.py: ")
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_check_names_the_line_of_a_helper_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "growth.py").write_text("\nSTEPS = {}['none']\n", encoding="utf-8")
    with pytest.raises(SuiteError, match=r"KeyError: 'none', line 2 of parts/growth\.py\)"):
        refuse_scripts(shaped(tmp_path, body="import parts.growth"))


def test_check_names_the_key_of_a_shape_that_is_not_in_its_file(tmp_path: Path) -> None:
    suite = shaped(tmp_path, SHAPED.replace(":Steps", ":Stepz"))
    with pytest.raises(
        SuiteError, match=r"^x: load\.shape: steps\.py: Stepz is no LoadTestShape of the file, .* Steps; "
    ):
        refuse_scripts(suite)


def test_check_accepts_a_shape_that_ends_later(tmp_path: Path) -> None:
    refuse_scripts(shaped(tmp_path, body="return (3, 10) if self.get_run_time() < 9 else None"))


def test_a_duel_has_fixed_users() -> None:
    with pytest.raises(UsageError, match="both sides have the same fixed users"):
        Terms(["GET /"], {}, overrides=["load.shape=steps.py:Steps"])
