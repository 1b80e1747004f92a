"""The two sides of a duel as cases: apps in the working copy or at git revisions, or cases of a suite."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopwise.errors import UsageError
from loopwise.measure.worktrees import worktrees
from loopwise.model import Case
from loopwise.model.naming import shown_names
from loopwise.suite import load_suite, make_suite
from loopwise.suite.expand import KINDS, REQUEST_KEYS
from loopwise.suite.locations import meant_url
from loopwise.suite.scaffold import with_request

REVISION = "git:"
SIDE_KEYS = (
    *(key for key in KINDS["app"] if key not in {"app", "app_dir", "python", *REQUEST_KEYS}),
    "before_replicate",
)
"""Keys of an entry in which the two sides of a duel may differ."""

TIMING = ("measure_s", "warmup_s")
"""Keys of [load] that a duel sets."""


@dataclass(frozen=True)
class Version:
    """One side of a duel, as the command line names it."""

    text: str
    """`shop.main:app`, or `git:main`."""
    app: str | None
    """`module:app`, for a git revision."""
    app_dir: Path
    python: Path | None
    settings: tuple[str, ...] = ()
    """`KEY=VALUE` for keys of the side's [[matrix]] entry: `env.OMP_NUM_THREADS=1`."""

    @property
    def is_revision(self) -> bool:
        """Whether the app is taken from a revision of the checkout that holds `app_dir`."""
        return self.text.startswith(REVISION)

    @property
    def target(self) -> str:
        """`module:app`.

        Raises:
            UsageError: a git revision without `--app`.
        """
        if url := meant_url(self.text):
            raise UsageError(
                f"duel: {self.text} is a server that runs, and a duel starts both sides itself; name module:app, or "
                f"measure the server alone: bench.py try {url}"
            )
        if not self.is_revision:
            return self.text
        if self.app is None:
            raise UsageError(f"duel: {self.text} is a revision and names no app; add --app module:app")
        return self.app


@dataclass(frozen=True)
class Terms:
    """Endpoints, load and settings that both sides of a duel have in common."""

    endpoints: Sequence[str]
    load: Mapping[str, Any]
    """Keys of [load]."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """`headers`, `json` and `expect_status` of every endpoint."""
    overrides: Sequence[str] = ()
    """`--set` strings, on the entry and on [load]."""
    started: Mapping[str, str] = field(default_factory=dict)
    """Keys of the entry that say how both sides are started; a side's own settings go before them."""

    def __post_init__(self) -> None:
        """Refuse settings that a duel makes by itself.

        Raises:
            UsageError: a key that has no effect here.
        """
        for setting in self.overrides:
            table, _, name = setting.partition("=")[0].strip().partition(".")
            if name.rpartition(".")[2] == "shape":
                raise UsageError(f"duel: --set {setting}: both sides have the same fixed users; leave it out")
            if table not in {"matrix", "load"} or name in TIMING:
                raise UsageError(
                    f"duel: --set {setting}: allowed are keys of matrix and load but for {', '.join(TIMING)}; "
                    "a duel has --seconds, --rounds, --margin and --seed for the rest"
                )


@contextmanager
def sides_of_apps(versions: tuple[Version, Version], terms: Terms) -> Iterator[tuple[Case, Case]]:
    """Make cases of both versions; checkouts of revisions last until the `with` block ends.

    Raises:
        UsageError: a side can't be served, or there is no endpoint.
    """
    if not terms.endpoints:
        raise UsageError("duel: nothing says what to ask; add --endpoint 'GET /x', or --suite SUITE")
    with served_from(*versions) as folders:
        names = names_of(versions[0].text, versions[1].text)
        one, two = (
            case_of(version, folder, terms, case_id=name)
            for version, folder, name in zip(versions, folders, names, strict=True)
        )
        yield one, two


def sides_of_suite(suite: str, case_ids: tuple[str, str], terms: Terms) -> tuple[Case, Case]:
    """Take both sides from a suite, with the suite's users and the duel's timing.

    Raises:
        UsageError: there is no such case, it can't be served beside another, or the loads differ.
    """
    if terms.endpoints or terms.request:
        raise UsageError(
            "duel: the cases of --suite say what is asked; leave out --endpoint, --header, --body and --expect-status"
        )
    cases = {case.case_id: case for case in load_suite(suite, terms.overrides).cases}
    one, two = (_with_load(_case(cases, case_id, suite), terms.load) for case_id in case_ids)
    if one.load != two.load:
        raise UsageError(f"duel: {' and '.join(case_ids)} have different loads; choose cases with the same one")
    if one.case_id != two.case_id:
        return one, two
    names = names_of(one.case_id, two.case_id)
    return one.model_copy(update={"case_id": names[0]}), two.model_copy(update={"case_id": names[1]})


def _case(cases: Mapping[str, Case], name: str, suite: str) -> Case:
    """The case of that id, or of that name as `check` shows it."""
    names = shown_names(cases.values())
    case_id = next((case_id for case_id, shown in names.items() if name in {case_id, shown}), None)
    if case_id is None:
        known = ", ".join(cases)
        raise UsageError(f"duel: {suite} has no case {name!r}, it has {known}; see `bench.py check {suite}`")
    case = cases[case_id]
    if case.server is None or case.scenario is not None or case.load.fixed_users is None:
        raise UsageError(
            f"duel: {name} can't be put head to head: it needs a server that we start, declared "
            "endpoints and a closed load with fixed users; choose another case"
        )
    return case


def _with_load(case: Case, load: Mapping[str, Any]) -> Case:
    mine = {**load, "users": case.load.users, "think_s": case.load.think_s, "victim": None}
    return case.model_copy(update={"load": case.load.model_copy(update=mine)})


@contextmanager
def served_from(baseline: Version, candidate: Version) -> Iterator[tuple[Path, Path]]:
    """Make the folders that the two apps are imported from, for the duration of a `with` block.

    Both are links of equal length in a temporary folder: the length of a path moves a process's memory, and the two
    sides must differ in their code alone. Worktrees of revisions are removed at the end.

    Raises:
        UsageError: a folder does not exist, is not in a git checkout, or has no such revision.
    """
    with worktrees() as trees:
        links = []
        for name, version in (("a", baseline), ("b", candidate)):
            folder = version.app_dir.resolve()
            if version.is_revision:
                root = trees.checkout_of(folder)
                if root is None:
                    raise UsageError(
                        f"duel: {version.text}: {version.app_dir} is not in a git checkout; "
                        "name a folder that is by --app-dir"
                    )
                tree = trees.add(name, root, version.text.removeprefix(REVISION))
                folder = tree / folder.relative_to(root)
            if not folder.is_dir():
                raise UsageError(f"duel: {version.text}: there is no folder {version.app_dir}; correct --app-dir")
            link = trees.folder / name
            link.symlink_to(folder)
            links.append(link)
        yield links[0], links[1]


def case_of(version: Version, folder: Path, terms: Terms, *, case_id: str) -> Case:
    """Make a case of a version.

    Raises:
        SuiteError: the app, the interpreter or an endpoint is invalid.
    """
    entry: dict[str, Any] = {"app": version.target, "app_dir": str(folder), **terms.started}
    if version.python is not None:
        entry["python"] = str(version.python)
    endpoints = with_request(terms.endpoints, terms.request)
    if len(endpoints) == 1:
        entry["endpoint"] = endpoints[0]
    else:
        entry["mix"] = [{"endpoint": endpoint} for endpoint in endpoints]
    document = {"name": "duel", "load": dict(terms.load), "matrix": [entry]}
    for setting in version.settings:
        key = setting.partition("=")[0].split(".")[0].strip()
        if key not in SIDE_KEYS:
            raise UsageError(
                f"duel: --base-set, --candidate-set: got {setting!r}, allowed keys are {', '.join(SIDE_KEYS)}"
            )
    overrides = [*terms.overrides, *(f"matrix.{setting}" for setting in version.settings)]
    case, *others = make_suite(document, label="duel", folder=Path.cwd(), overrides=overrides).cases
    if others:
        raise UsageError(f"duel: {version.text}: its settings make {1 + len(others)} cases; give each key one value")
    assert case.app is not None
    # A suite follows links; the app is imported through this one, whose path is as long as the other side's.
    app = case.app.model_copy(update={"app_dir": str(folder)})
    return case.model_copy(update={"case_id": case_id, "app": app})


def names_of(baseline: str, candidate: str) -> tuple[str, str]:
    """Name the two sides in tables and folders, `git-main` and `shop.main-app`; never the same."""
    names = [re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:60] or "app" for text in (baseline, candidate)]
    if names[0] == names[1]:
        return f"{names[0]}-base", f"{names[1]}-candidate"
    return names[0], names[1]
