"""Paths of the parts that are started by path: beside this package in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_BUNDLE = _PACKAGE / "bundle"
"""Exists in a wheel only; pyproject.toml puts target_app and scenarios there."""


def _root() -> Path:
    return _BUNDLE if _BUNDLE.is_dir() else _PACKAGE.parent


def target_app_dir() -> Path:
    """Return the folder that contains the package `target_app`: working directory and import path of servers."""
    return _root()


def scenarios_dir() -> Path:
    """Return the folder of the suites and Locust files that come with Loopwise."""
    return _root() / "scenarios"


def results_dir() -> Path:
    """Return the folder for new results: `results` in the checkout, or in the working directory."""
    return Path.cwd() / "results" if _BUNDLE.is_dir() else _PACKAGE.parent / "results"
