"""Where the parts that are started by path lie: beside this package in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_BUNDLE = _PACKAGE / "bundle"
"""Exists in a wheel only; pyproject.toml puts target_app and scenarios there."""


def _root() -> Path:
    return _BUNDLE if _BUNDLE.is_dir() else _PACKAGE.parent


def target_app_dir() -> Path:
    """Folder that contains the package `target_app`: a server's working directory and import path."""
    return _root()


def scenarios_dir() -> Path:
    """Folder of the suites and Locust files that come with Loopwise."""
    return _root() / "scenarios"


def results_dir() -> Path:
    """Folder that new results go to: the checkout's `results`, or `results` below the working directory."""
    return Path.cwd() / "results" if _BUNDLE.is_dir() else _PACKAGE.parent / "results"
