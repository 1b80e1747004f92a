"""The sides of a duel: apps, git revisions and their names, as cases that can be served."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loopwise.errors import UsageError
from loopwise.measure.sides import Terms, Version, case_of, names_of, served_from, sides_of_suite
from loopwise.model import Case

ROOT = Path(__file__).parents[1]


def git(folder: Path, *arguments: str) -> str:
    options = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", str(folder), *options, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two commits of an app in a folder `svc`; the second is checked out."""
    root = tmp_path / "checkout"
    (root / "svc").mkdir(parents=True)
    git(root, "init", "-q")
    for word in ("first", "second"):
        (root / "svc" / "shop.py").write_text(f"app = '{word}'\n")
        git(root, "add", "-A")
        git(root, "commit", "-qm", word)
    return root


def version(text: str, folder: Path, app: str | None = "shop:app") -> Version:
    return Version(text, app, folder, None)


def test_a_revision_is_served_and_its_worktree_is_removed(checkout: Path) -> None:
    before, now = version("git:HEAD~1", checkout / "svc"), version("shop:app", checkout / "svc")
    with served_from(before, now) as (old, new):
        assert (old / "shop.py").read_text() == "app = 'first'\n"
        assert (new / "shop.py").read_text() == "app = 'second'\n"
        assert len(str(old)) == len(str(new))
        assert len(git(checkout, "worktree", "list").splitlines()) == 2
    assert not old.exists()
    assert len(git(checkout, "worktree", "list").splitlines()) == 1
    assert git(checkout, "status", "--short") == ""


def cut_short(texts: list[str]) -> None:
    assert texts == ["app = 'first'\n", "app = 'second'\n"]
    raise KeyboardInterrupt


def test_worktrees_are_removed_when_the_duel_is_cut_short(checkout: Path) -> None:
    sides = version("git:HEAD~1", checkout / "svc"), version("git:main", checkout / "svc")
    with pytest.raises(KeyboardInterrupt), served_from(*sides) as folders:
        cut_short([(side / "shop.py").read_text() for side in folders])
    assert len(git(checkout, "worktree", "list").splitlines()) == 1


HARNESS = """
import sys, time
from pathlib import Path
from loopwise.interrupts import interruptible
from loopwise.measure.sides import Version, served_from

side = Version("git:HEAD~1", "shop:app", Path(sys.argv[1]), None)
with interruptible(), served_from(side, side) as folders:
    print(folders[0].parent, flush=True)
    time.sleep(60)
"""


@contextmanager
def harness(checkout: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that has made two worktrees, and their folder."""
    command = [sys.executable, "-c", HARNESS, str(checkout / "svc")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_worktrees_of_a_dead_harness_are_removed_by_the_next_and_those_of_a_living_one_stay(checkout: Path) -> None:
    side = version("git:HEAD", checkout / "svc")
    with harness(checkout) as (dead, left), harness(checkout) as (living, theirs):
        dead.kill()
        dead.wait()
        (left / "mine").touch()  # only what we made is removed
        assert len(git(checkout, "worktree", "list").splitlines()) == 5
        with served_from(side, version("shop:app", checkout / "svc")):
            assert git(checkout, "worktree", "list").count(str(theirs)) == 2
            assert len(git(checkout, "worktree", "list").splitlines()) == 4
        assert [path.name for path in left.iterdir()] == ["mine"]
        assert (theirs / "a" / "shop.py").read_text() == "app = 'first'\n"
        living.send_signal(signal.SIGHUP)
        living.wait()
        assert len(git(checkout, "worktree", "list").splitlines()) == 1
        assert not theirs.exists()
    shutil.rmtree(left)


def test_worktrees_of_a_dead_harness_whose_folder_is_gone_are_forgotten(checkout: Path) -> None:
    with harness(checkout) as (dead, left):
        dead.kill()
        dead.wait()
    shutil.rmtree(left)
    side = version("shop:app", checkout / "svc")
    with served_from(version("git:HEAD", checkout / "svc"), side):
        assert len(git(checkout, "worktree", "list").splitlines()) == 2


WRONG: dict[str, tuple[str, str, str]] = {
    "no such revision": ("git:nowhere", "svc", "has no such revision; see `git log --all --oneline`"),
    "an option for a revision": ("git:--help", "svc", "has no such revision"),
    "a folder that was not there then": ("git:HEAD~1", "new", "there is no folder"),
    "no folder": ("shop:app", "gone", "there is no folder"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_served_is_refused_in_a_sentence(name: str, checkout: Path) -> None:
    text, folder, sentence = WRONG[name]
    if folder == "new":
        (checkout / folder).mkdir()
    with (
        pytest.raises(UsageError, match=sentence),
        served_from(version(text, checkout / folder), version("shop:app", checkout / "svc")),
    ):
        pass
    assert len(git(checkout, "worktree", "list").splitlines()) == 1


def test_a_folder_outside_of_any_checkout_has_no_revisions(tmp_path: Path) -> None:
    side = version("git:main", tmp_path)
    with (
        pytest.raises(UsageError, match="is not in a git checkout; name a folder that is by --app-dir"),
        served_from(side, side),
    ):
        pass


def test_a_revision_needs_the_apps_name() -> None:
    with pytest.raises(UsageError, match="names no app; add --app module:app"):
        _ = version("git:main", Path(), None).target
    assert version("git:main", Path()).target == "shop:app"
    assert version("other:app", Path()).target == "other:app"


def test_a_version_becomes_a_case_of_its_own_name(checkout: Path) -> None:
    side = version("shop:app", checkout / "svc")
    one = case_of(side, checkout / "svc", Terms(["GET /a"], {"users": 7}), case_id="main")
    assert one.case_id == "main"
    assert one.app is not None
    assert one.app.target == "shop:app"
    assert one.load.users == 7
    several = case_of(side, checkout / "svc", Terms(["GET /a", "POST /b"], {"users": 7}), case_id="x")
    assert [endpoint.name for endpoint in several.endpoints] == ["GET /a", "POST /b"]


@pytest.mark.parametrize(
    ("sides", "names"),
    [
        (("git:main", "shop.main:app"), ("git-main", "shop.main-app")),
        (("shop:app", "shop:app"), ("shop-app-base", "shop-app-candidate")),
        (("git:a/b", "git:a b"), ("git-a-b-base", "git-a-b-candidate")),
        (("git:../..", "x:y"), ("git-..-..", "x-y")),
    ],
)
def test_sides_have_names_that_may_stand_in_a_path_and_differ(sides: tuple[str, str], names: tuple[str, str]) -> None:
    found = names_of(*sides)
    assert found[0] != found[1]
    assert all("/" not in name and name not in {"", ".", ".."} for name in found)
    if names[0] != "git-..-..":
        assert found == names


def sided(folder: Path, *settings: str) -> Case:
    return case_of(Version("shop:create", None, folder, None, settings), folder, Terms(["/"], {}), case_id="x")


def test_a_side_is_started_as_its_settings_say(tmp_path: Path) -> None:
    case = sided(
        tmp_path,
        "env.OMP_NUM_THREADS=2",
        'server_args=["--preload"]',
        "factory_args.size=5",
        "workers=2",
        f"cwd={tmp_path}",
    )
    assert case.server is not None
    assert case.app is not None
    assert (case.server.env, case.server.server_args, case.server.workers) == (
        {"OMP_NUM_THREADS": "2"},
        ("--preload",),
        2,
    )
    assert (case.app.target, case.app.factory_args, case.app.cwd) == ("shop:create()", {"size": 5}, str(tmp_path))


def test_folder_and_variables_of_both_sides_give_way_to_a_sides_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("run", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.env").touch()
    terms = Terms(["/"], {}, started={"cwd": "run", "env_file": "run.env"})
    found = []
    for settings in ((), ("cwd=other", "env_file=other.env")):
        case = case_of(Version("shop:app", None, tmp_path, None, settings), tmp_path, terms, case_id="x")
        assert case.app is not None
        assert case.server is not None
        found.append((case.app.cwd, case.server.env_file))
    assert found == [(f"{tmp_path}/run", f"{tmp_path}/run.env"), (f"{tmp_path}/other", f"{tmp_path}/other.env")]


def test_both_sides_are_asked_with_the_same_headers_body_and_status(tmp_path: Path) -> None:
    request = {"headers": {"X-Key": "1"}, "json": {"a": 1}, "expect_status": 201}
    asked = Terms(["POST /a", "/b"], {"users": 3}, request, ["matrix.startup_timeout_s=90.0", "load.think_s=0.5"])
    case = case_of(Version("shop:app", None, tmp_path, None), tmp_path, asked, case_id="x")
    assert [each.name for each in case.endpoints] == ["POST /a", "GET /b"]
    assert {(each.headers["X-Key"], each.json_body["a"], each.expect_status) for each in case.endpoints} == {
        ("1", 1, 201)
    }
    assert case.server is not None
    assert (case.server.startup_timeout_s, case.load.think_s, case.load.users) == (90.0, 0.5, 3)


@pytest.mark.parametrize("setting", ["load.measure_s=9", "replicates.min=9", "seed=3"])
def test_settings_without_effect_in_a_duel_are_refused(setting: str) -> None:
    with pytest.raises(UsageError, match=f"duel: --set {setting}: allowed are keys of matrix and load"):
        Terms(["/"], {}, overrides=[setting])


def test_cases_of_a_suite_say_by_themselves_what_is_asked() -> None:
    with pytest.raises(UsageError, match="leave out --endpoint, --header, --body and --expect-status"):
        sides_of_suite("quick", ("a", "b"), Terms([], {}, {"expect_status": 201}))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("endpoint=/other", "allowed keys are cwd, factory_args, fresh, mode, dependencies, patch, server, workers"),
        ("load.users=1", "allowed keys are"),
        ("env.A=[1,2]", "shop:create: its settings make 2 cases; give each key one value"),
        ("server_args=--workers", "matrix[0].server_args"),
    ],
)
def test_settings_that_make_no_side_are_refused(tmp_path: Path, setting: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        sided(tmp_path, setting)
    assert words in str(raised.value)
