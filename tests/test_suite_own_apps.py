"""Entries with `app`, `url` or `scenario`: somebody's own code, found from the suite's folder."""

import sys
from pathlib import Path

import pytest
from support.suite import FakeTarget, ids_of, sentence, suite_file, suite_of

from loopwise.model import Endpoint
from loopwise.model.naming import shown_names
from loopwise.suite import baseline_pairs
from loopwise.suite.own_app import named_app
from loopwise.suite.scaffold import trial_document


def test_a_suite_of_own_apps_asks_target_app_nothing(tmp_path: Path) -> None:
    fake = FakeTarget()
    suite_of(tmp_path, '[[matrix]]\napp = "shop:app"\nendpoint = "/"', describe=fake)
    assert fake.asked == []


def test_paths_are_relative_to_the_suites_folder(tmp_path: Path) -> None:
    shop, suites = tmp_path / "shop", tmp_path / "suites"
    (shop / "bin").mkdir(parents=True)
    suites.mkdir()
    (shop / "bin" / "python").symlink_to(sys.executable)
    text = """
        [[matrix]]
        app = "shop.main:create_app()"
        app_dir = "../shop"
        python = "../shop/bin/python"
        endpoint = "/"
    """
    app = suite_of(suites, text).cases[0].app
    assert app is not None
    assert app.model_dump() == {
        "target": "shop.main:create_app()",
        "app_dir": str(shop.resolve()),
        "python": str(shop.resolve() / "bin" / "python"),
    }


def test_a_bare_interpreter_name_is_looked_up_as_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    text = f'[[matrix]]\napp = "shop:app"\npython = "{Path(sys.executable).name}"\nendpoint = "/"'
    app = suite_of(tmp_path, text).cases[0].app
    assert app is not None
    assert Path(app.python).name == Path(sys.executable).name
    assert Path(app.python).is_absolute()


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ('"/a?b=c"', Endpoint(path="/a?b=c")),
        ('"post /a"', Endpoint(method="POST", path="/a")),
        ('{ path = "/a", method = "put" }', Endpoint(method="PUT", path="/a")),
        (
            '{ path = "/a", headers = { X-Key = "1" }, json = { n = [1, { m = true }] }, expect_status = 201 }',
            Endpoint(path="/a", headers={"X-Key": "1"}, json_body={"n": [1, {"m": True}]}, expect_status=201),
        ),
    ],
)
def test_an_endpoint_is_a_string_or_a_table(tmp_path: Path, endpoint: str, expected: Endpoint) -> None:
    text = f'[[matrix]]\nurl = "http://127.0.0.1"\nendpoint = {endpoint}'
    assert suite_of(tmp_path, text).cases[0].endpoints == (expected,)


def test_a_mix_puts_weighted_endpoints_into_one_case(tmp_path: Path) -> None:
    text = """
        [[matrix]]
        url = "http://127.0.0.1"
        mix = [{ endpoint = "/a", weight = 3 }, { endpoint = "POST /b" }]
    """
    (case,) = suite_of(tmp_path, text).cases
    assert (case.workload, case.mode) == ("GET /a + POST /b", "own")
    assert [(endpoint.name, endpoint.weight) for endpoint in case.endpoints] == [
        ("GET /a", 3),
        ("POST /b", 1),
    ]


def test_a_scenario_has_its_file_and_endpoints_to_try(tmp_path: Path) -> None:
    suite_file(tmp_path, "", "walk.py")
    (case,) = suite_of(tmp_path, '[[matrix]]\nscenario = "walk.py"\nendpoint = ["/a", "/b"]').cases
    assert case.scenario == str(tmp_path.resolve() / "walk.py")
    assert [endpoint.path for endpoint in case.endpoints] == ["/a", "/b"]
    assert case.server is not None


@pytest.mark.parametrize("url", ["unix:/run/app.sock", "unix:///run/./app.sock"])
def test_a_unix_socket_is_an_absolute_path(tmp_path: Path, url: str) -> None:
    assert suite_of(tmp_path, f'[[matrix]]\nurl = "{url}"\nendpoint = "/"').cases[0].url == "unix:/run/app.sock"
    text = '[[matrix]]\nurl = "unix:app.sock"\nendpoint = "/"'
    assert suite_of(tmp_path, text).cases[0].url == f"unix:{tmp_path.resolve()}/app.sock"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("HTTPS://LOCALHOST", "https://localhost"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("http://Bench.Example:80", "http://bench.example:80"),
    ],
)
def test_a_url_is_reduced_to_scheme_host_and_port(tmp_path: Path, url: str, expected: str) -> None:
    text = f'[[matrix]]\nurl = "{url}"\nendpoint = "/"'
    assert suite_of(tmp_path, text, allow_remote=["BENCH.example"]).cases[0].url == expected


APP = '[[matrix]]\napp = "shop:app"\nendpoint = "/a"\n'


def test_modes_of_an_app_multiply_its_cases_and_leave_the_id_as_written_alone(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, APP + 'mode = ["own", "sync"]\nworkers = [1, 2]\n[compare]\nbaseline = { mode = "own" }')
    ids = [
        "get-a-own-w1-uvicorn-u50",
        "get-a-own-w2-uvicorn-u50",
        "get-a-sync-w1-uvicorn-u50",
        "get-a-sync-w2-uvicorn-u50",
    ]
    assert ids_of(suite) == ids
    assert ids_of(suite_of(tmp_path, APP)) == ids[:1]
    assert baseline_pairs(suite) == [(ids[0], ids[2]), (ids[1], ids[3])]
    names = shown_names(suite.cases)
    assert names[ids[0]] == "GET /a as written, 1 worker"
    assert names[ids[3]] == "GET /a sync, 2 workers"


def test_dependencies_of_an_endpoint_have_no_mode_where_it_is_as_written(tmp_path: Path) -> None:
    text = APP + 'mode = ["own", "sync"]\ndependencies = ["own", "same"]\n[compare]\nbaseline = { mode = "own" }'
    suite = suite_of(tmp_path, text)
    assert [(case.mode, case.dependencies) for case in suite.cases] == [
        ("own", "own"),
        ("sync", "own"),
        ("sync", "same"),
    ]
    assert len({*ids_of(suite)}) == 3
    assert len(baseline_pairs(suite)) == 2
    assert "GET /a sync, with its dependencies, 1 worker" in shown_names(suite.cases).values()


def test_the_size_of_the_pool_is_that_of_mode_process_alone(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, APP + 'mode = ["own", "process"]\npool_processes = [1, 2]')
    assert list(shown_names(suite.cases).values()) == [
        "GET /a as written, 1 worker",
        "GET /a process, pool of 1, 1 worker",
        "GET /a process, pool of 2, 1 worker",
    ]


MODES_REFUSED = [
    (
        APP + 'mode = ["sync", "blocking"]',
        'matrix[0].mode[1]: got "blocking", allowed of an app are own, async, sync, to_thread, process: '
        "a def function that is called on the loop, as async, is what blocks; correct the value",
    ),
    (APP + 'mode = "asink"', 'matrix[0].mode: got "asink", allowed of an app are own, async, sync, to_thread, process'),
    (
        '[[matrix]]\nurl = "http://127.0.0.1"\nendpoint = "/a"\nmode = "sync"',
        "matrix[0].mode: can't be changed of a server that already runs; remove it, or name the app that it serves",
    ),
    (
        '[[matrix]]\napp = "shop:app"\nmix = [{ endpoint = "/a" }]\nmode = "sync"',
        "matrix[0].mode: is that of one endpoint, this entry has a mix; name one by endpoint, or remove mode",
    ),
    (
        '[[matrix]]\napp = "shop:app"\nscenario = "ok.py"\nendpoint = "/a"\nmode = ["own", "sync"]',
        "matrix[0].mode: is that of one endpoint, this entry has a scenario",
    ),
    (
        APP + 'dependencies = "same"',
        "matrix[0].dependencies: belongs to a mode of async, sync, to_thread, process; add",
    ),
    (APP + 'mode = "sync"\ndependencies = "sync"', 'matrix[0].dependencies: got "sync", allowed are own, same'),
    (APP + 'mode = "sync"\npool_processes = 2', 'matrix[0].pool_processes: belongs to mode "process"'),
]


@pytest.mark.parametrize(("text", "fragment"), MODES_REFUSED)
def test_a_mode_that_an_entry_cannot_have_is_refused_by_its_key(tmp_path: Path, text: str, fragment: str) -> None:
    assert fragment in sentence(tmp_path, text)


DIFF = "--- a/shop.py\n+++ b/shop.py\n@@ -1,2 +1,2 @@\n-a = 1\n+a = 2\n b = 1\n"
PATCHES_REFUSED = [
    (APP + 'patch = "none.diff"', 'matrix[0].patch: got "none.diff", but there is no file '),
    (
        APP + 'patch = ["", "fix.diff", "stale.diff"]',
        "matrix[0].patch[2]: stale.diff: line 3: hunk 1 of shop.py does not apply at line 1 of ",
    ),
    (APP + 'patch = "shop.py"', "matrix[0].patch: shop.py: it is no unified diff; write one by `git diff`"),
    (APP + 'patch = "latin.diff"', "latin.diff: byte 0 is no UTF-8; save the file as UTF-8"),
    (APP + 'patch = { name = "x" }', "matrix[0].patch: has file and text, or none of them; keep the one"),
    (APP + 'patch = { file = "fix.diff", text = "x" }', "matrix[0].patch: has file and text, or none of them"),
    (
        '[[matrix]]\nurl = "http://127.0.0.1"\nendpoint = "/a"\npatch = "fix.diff"',
        "matrix[0].patch: can't be changed of a server that already runs",
    ),
    (
        '[[matrix]]\nworkload = "noop"\nmode = "sync"\npatch = "fix.diff"',
        ".patch: can't be combined with workload",
    ),
    (
        '[[matrix]]\napp = "shop:app"\nscenario = "ok.py"\nendpoint = "/a"\npatch = "fix.diff"',
        "matrix[0].patch: needs answers to compare, one by one, this entry has a scenario; name endpoints, or remove",
    ),
    (
        APP + 'patch = "fix.diff"\n[compare]\nbaseline = { patch = "" }',
        'compare.baseline.patch: got "", the cases have "fix.diff"; take one of these',
    ),
]


def diffs_in(folder: Path) -> None:
    (folder / "shop.py").write_text("a = 1\nb = 1\n")
    (folder / "fix.diff").write_text(DIFF)
    (folder / "stale.diff").write_text(DIFF.replace("b = 1", "b = 2"))
    (folder / "latin.diff").write_bytes(b"\xe9")


@pytest.mark.parametrize(("text", "fragment"), PATCHES_REFUSED)
def test_a_patch_that_an_entry_cannot_have_is_refused_by_its_key(tmp_path: Path, text: str, fragment: str) -> None:
    diffs_in(tmp_path)
    assert fragment in sentence(tmp_path, text)


def test_a_patch_is_a_factor_whose_baseline_is_the_app_as_written(tmp_path: Path) -> None:
    diffs_in(tmp_path)
    text = (
        APP + 'patch = ["", "fix.diff", { name = "by hand", text = """\n' + DIFF.replace("2\n b", "3\n b") + '"""}]\n'
    )
    suite = suite_of(tmp_path, text + 'mode = ["own", "sync"]\n[compare]\nbaseline = { patch = "" }')
    assert [(each.mode, each.patch.name if each.patch else "") for each in suite.cases] == [
        (mode, name) for mode in ("own", "sync") for name in ("", "fix.diff", "by hand")
    ]
    ids = [each.case_id for each in suite.cases]
    assert ids[:3] == [f"get-a-own{patch}-w1-uvicorn-u50" for patch in ("", "-patch-fix", "-patch-by-hand")]
    assert baseline_pairs(suite) == [(ids[0], ids[1]), (ids[0], ids[2]), (ids[3], ids[4]), (ids[3], ids[5])]
    assert shown_names(suite.cases)[ids[1]] == "GET /a as written, with fix.diff, 1 worker"


def test_two_diffs_of_one_name_are_two_cases(tmp_path: Path) -> None:
    diffs_in(tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "fix.diff").write_text(DIFF.replace("2\n b", "3\n b"))
    suite = suite_of(tmp_path, APP + 'patch = ["fix.diff", "more/fix.diff", "fix.diff"]')
    assert len({each.case_id for each in suite.cases}) == len(suite.cases) == 2
    assert len({*shown_names(suite.cases).values()}) == 2


def test_try_sets_each_patch_against_the_app_as_written() -> None:
    document = trial_document(
        "shop:app", ["GET /"], workers="1", patches=["a.diff", "b.diff"], users=1, app_dir=Path(), python=None
    )
    assert document["matrix"][0]["patch"] == ["", "a.diff", "b.diff"]
    assert document["compare"] == {"baseline": {"patch": ""}}


@pytest.mark.parametrize(
    ("dotenvs", "app_dir", "cwd", "expected"),
    [
        ([".env"], "src", None, "."),
        ([".env"], "src", "src", "src"),
        ([".env", "src/.env"], "src", None, None),
        ([], "src", None, None),
        ([".env"], ".", None, None),
        ([".env"], "..", None, None),
    ],
)
def test_an_app_below_the_folder_with_the_dotenv_is_started_there(
    dotenvs: list[str],
    app_dir: str,
    cwd: str | None,
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    for name in dotenvs:
        (root / name).write_text("A=1\n", encoding="utf-8")
    monkeypatch.chdir(root)
    folder = None if expected is None else (root / expected).resolve()
    given = None if cwd is None else Path(cwd)
    assert named_app("init", "shop:app", Path(app_dir), None, given).cwd == (None if folder is None else str(folder))
    document = trial_document(
        "shop:app", ["GET /"], workers="1", users=1, app_dir=Path(app_dir), python=None, cwd=given
    )
    written = document["matrix"][0].get("cwd")
    assert (None if written is None else Path(written).resolve()) == folder
