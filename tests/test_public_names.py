"""Names that users' scripts import from Loopwise, and what their import costs."""

import json
import subprocess
import sys

import pytest

HEAVY = {"gevent", "locust", "numpy", "pyarrow", "pydantic"}


def python(code: str) -> str:
    """What the code prints in an interpreter of its own: Locust patches the standard library of its process."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_stamped_user_is_one_class_under_all_its_names() -> None:
    code = """
from loopwise import StampedUser as short
from loopwise.generator.stamped import StampedUser as old
from loopwise.generator.stamped_user import StampedUser as whole
print(short is old is whole, short.__module__)
"""
    assert python(code).split() == ["True", "loopwise.generator.stamped_user"]


@pytest.mark.parametrize("module", ["loopwise", "loopwise.generator", "loopwise.cli", "loopwise.generator.client"])
def test_importing_loopwise_leaves_gevent_alone(module: str) -> None:
    loaded = set(json.loads(python(f"import json, sys, {module}; print(json.dumps(list(sys.modules)))")))
    assert not loaded & {"gevent", "locust"}
    assert module != "loopwise" or not loaded & HEAVY


def test_an_unknown_name_of_loopwise_is_refused() -> None:
    code = "import loopwise\ntry:\n    loopwise.StampedUsers\nexcept AttributeError as error:\n    print(error)"
    assert python(code) == "module 'loopwise' has no attribute 'StampedUsers'\n"
