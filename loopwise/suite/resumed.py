"""Validate the suite in a result as one in a file, before it is resumed: anybody may have written it."""

from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loopwise.errors import ResultError
from loopwise.model import Case, Experiment, Suite
from loopwise.model.factors import is_own
from loopwise.results.trust import has_own_seal, sealed
from loopwise.servers import target
from loopwise.servers.origin import UNIX
from loopwise.suite import make_suite
from loopwise.suite.expand import Describe
from loopwise.suite.locations import is_loopback
from loopwise.suite.to_toml import entry

REACHES = ("url", "app", "scenario", "options", "server")
"""Fields of a case that say what is started and where requests go, besides endpoints."""
SHOWN = 4
"""Number of them that the refusal of a result names."""


def resumable(
    experiment: Experiment,
    folder: Path,
    *,
    trust: bool = False,
    allow_remote: Collection[str] = (),
    describe: Describe = target.describe,
) -> Experiment:
    """Return an experiment that may be carried out, sealed as this user's.

    Args:
        experiment: as it was read.
        folder: of its result.
        trust: the user has looked at what it names.
        allow_remote: hosts besides this machine that a `url` may name.
        describe: asks target_app; tests pass a fake.

    Raises:
        SuiteError: a suite in a file could not say what it says, or this machine lacks something.
        ResultError: it is somebody else's, and not trusted.
    """
    label = str(folder / "experiment.json")
    if not trust and not has_own_seal(experiment):
        raise ResultError(
            f"{folder}: was not made by you on this machine, or was changed since, and resuming it starts "
            f"{_named(experiment.suite)}; look at its experiment.json, then add --trust to go on with it"
        )
    suite = experiment.suite
    document = {"name": suite.name, "matrix": [entry(case) for case in suite.cases]}
    made = make_suite(document, label=label, folder=folder, allow_remote=allow_remote, describe=describe)
    if [_reach(case) for case in made.cases] != [_reach(case) for case in suite.cases]:
        raise ResultError(f"{label}: its cases say what no suite can; restore the file, or measure the suite anew")
    return sealed(experiment)


def remote_hosts(suite: Suite) -> list[str]:
    """Hosts besides this machine that its cases put under load."""
    urls = {case.url for case in suite.cases if case.url and not case.url.startswith(UNIX)}
    hosts = {urlsplit(url).hostname or "" for url in urls}
    return sorted(host for host in hosts if not is_loopback(host))


def _reach(case: Case) -> list[Any]:
    own = case.endpoints if is_own(case) else ()
    patch = case.patch and (case.patch.name, case.patch.text)
    return [*(getattr(case, name) for name in REACHES), case.load.shape, patch, own]


def _named(suite: Suite) -> str:
    """Programs and files that would be run, and servers put under load: `/srv/venv/bin/python, http://10.0.0.1`."""
    names: dict[str, None] = {}
    for case in suite.cases:
        app = [case.app.python, f"{case.app.target} in {case.app.app_dir}"] if case.app else []
        command = [case.before_replicate.text] if case.before_replicate else []
        patch = [f"the patch {case.patch.name}"] if case.patch else []
        names |= dict.fromkeys([*app, *patch, *command, *filter(None, (case.scenario, case.load.shape, case.url))])
    shown = list(names)[:SHOWN]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(shown) + more) if shown else "target_app"
