"""How an app is started, as a suite says it: variables, files of them, folders, arguments, options, copies."""

from pathlib import Path

import pytest
from support.suite import FakeTarget, ids_of, sentence, suite_file, suite_of

from loopwise.model import Command
from loopwise.model.factors import case_factors
from loopwise.suite import baseline_pairs, make_suite
from loopwise.suite.to_toml import entry

HEAD = """
[[matrix]]
app = "shop:create"
endpoint = "/"
"""


def test_lists_of_variables_and_arguments_multiply_the_cases(tmp_path: Path) -> None:
    suite = suite_of(
        tmp_path,
        HEAD
        + """
env = { OMP_NUM_THREADS = [1, 4], POOL = 5, DEBUG = false }
factory_args = { size = [10, 20], name = "x" }
server_args = [[], ["--proxy-headers"]]

[compare]
baseline = { env = { OMP_NUM_THREADS = 1 }, factory_args = { size = 10 } }
""",
    )
    assert len(suite.cases) == len(set(ids_of(suite))) == 8
    first = suite.cases[0]
    assert first.server is not None
    assert first.app is not None
    assert first.server.env == {"OMP_NUM_THREADS": "1", "POOL": "5", "DEBUG": "false"}
    assert (first.app.target, first.app.factory_args) == ("shop:create()", {"size": 10, "name": "x"})
    assert {each.server.server_args for each in suite.cases if each.server} == {(), ("--proxy-headers",)}
    assert len(baseline_pairs(suite)) == 6
    assert case_factors(first)["env.OMP_NUM_THREADS"] == "1"


def test_a_list_of_options_can_be_the_baseline(tmp_path: Path) -> None:
    lists = 'server_args = [[], ["--preload"]]\n[compare]\nbaseline = { server_args = [] }'
    assert len(baseline_pairs(suite_of(tmp_path, HEAD + lists))) == 1


def test_one_list_of_options_is_one_case(tmp_path: Path) -> None:
    (case,) = suite_of(
        tmp_path, HEAD + 'server_args = ["--root-path", "/api"]\naccess_log = true\ntimeouts = "production"'
    ).cases
    assert case.server is not None
    assert case.server.timeouts == "production"
    assert (case.server.server_args, case.server.access_log) == (("--root-path", "/api"), True)


def test_paths_start_from_the_suites_folder(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "data").mkdir()
    suite_file(tmp_path, "A=1", "prod.env")
    text = (
        HEAD
        + 'app_dir = "src"\ncwd = "."\nenv_file = "prod.env"\nfresh = { DATA = "data" }\nbefore_replicate = "make seed"'
    )
    (case,) = suite_of(tmp_path, text).cases
    here = str(tmp_path.resolve())
    assert case.app is not None
    assert case.server is not None
    assert (case.app.app_dir, case.app.cwd, case.app.folder) == (f"{here}/src", here, here)
    assert (case.server.env_file, case.app.fresh) == (f"{here}/prod.env", {"DATA": f"{here}/data"})
    assert case.before_replicate == Command(text="make seed", folder=here)


def test_the_path_of_a_copy_stands_where_the_suite_puts_it(tmp_path: Path) -> None:
    (tmp_path / "shop.db").touch()
    (tmp_path / "media").mkdir()
    one = suite_of(tmp_path, HEAD + 'fresh = "shop.db"\nenv = { URL = "sqlite:///{fresh}" }').cases[0]
    two = suite_of(
        tmp_path,
        HEAD
        + 'fresh = ["shop.db", "./media"]\nenv = { URL = "x{fresh.shop.db}" }\n'
        + 'factory_args = { media = "{fresh.media}" }',
    ).cases[0]
    assert one.server is not None
    assert two.server is not None
    assert two.app is not None
    assert one.server.env == {"URL": "sqlite:///{fresh.shop.db}"}
    assert two.server.env == {"URL": "x{fresh.shop.db}"}
    assert two.app.factory_args == {"media": "{fresh.media}"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('env = { "A-B" = 1 }', ["matrix[0].env", "letters, digits and _"]),
        ("env = { LOOPWISE_APP = 1 }", ["matrix[0].env", "which Loopwise sets"]),
        ("env = { WEB_CONCURRENCY = 4 }", ["matrix[0].env", "set `workers`"]),
        ("env = { UVICORN_WORKERS = 4 }", ["matrix[0].env", "got UVICORN_WORKERS", "set `workers`; remove it"]),
        ("env = { GRANIAN_LOG_ACCESS_ENABLED = 1 }", ["matrix[0].env", "set `access_log`"]),
        (
            'env = { GUNICORN_CMD_ARGS = "--preload --workers=4" }',
            ["matrix[0].env", "GUNICORN_CMD_ARGS: got '--workers=4'", "set `workers`"],
        ),
        ('env = { GUNICORN_CMD_ARGS = "\'" }', ["matrix[0].env", "is no list of options (No closing quotation)"]),
        ("env = { A = { b = 1 } }", ["matrix[0].env.A", "numbers, strings and booleans"]),
        ('env_file = "/dev/zero"', ["matrix[0].env_file", "/dev/zero can't be read (it is no regular file)"]),
        ('env_file = "nowhere.env"', ["matrix[0].env_file", "nowhere.env can't be read (No such file or directory)"]),
        ('env_file = "bad.env"', ["matrix[0].env_file", "bad.env, line 2: it is not NAME=VALUE"]),
        ('cwd = "nowhere"', ["matrix[0].cwd", "there is no folder"]),
        ('factory_args = ["a"]', ["matrix[0].factory_args", "allowed is a table"]),
        ('fresh = { DATA = "nowhere" }', ["matrix[0].fresh", "there is no file or folder"]),
        (
            'fresh = "data"',
            ["matrix[0].fresh", "nothing gives the app the path of the copy", 'fresh = { DATA = "data" }'],
        ),
        ('fresh = "data"\nenv = { A = "{fresh.other}" }', ["matrix[0].env", "{fresh.data}"]),
        ('env = { A = "{fresh}" }', ["matrix[0].env", "none, since the entry has no fresh"]),
        ('fresh = { A = "data" }\nenv = { A = 1 }', ["matrix[0].fresh", "gives the variable A"]),
        ('fresh = ["data", "x/data"]', ["matrix[0].fresh", "two paths with the same name"]),
        ('before_replicate = ""', ["matrix[0].before_replicate", "at least one character"]),
        ('server_args = "--preload"', ["matrix[0].server_args", "allowed is a list"]),
    ],
)
def test_wrong_values_are_one_sentence_each(tmp_path: Path, lines: str, words: list[str]) -> None:
    (tmp_path / "x" / "data").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    suite_file(tmp_path, "A=1\nno value", "bad.env")
    message = sentence(tmp_path, HEAD + lines)
    assert [each for each in words if each not in message] == []


def test_a_running_server_has_a_command_but_no_environment(tmp_path: Path) -> None:
    head = '[[matrix]]\nurl = "http://127.0.0.1:1"\nendpoint = "/"\n'
    assert suite_of(tmp_path, head + 'before_replicate = "x"').cases[0].before_replicate is not None
    assert "matrix[0].env: can't be combined with url" in sentence(tmp_path, head + "env = { A = 1 }")
    assert "matrix[0].fresh: can't be combined with url" in sentence(tmp_path, head + 'fresh = "."')


def test_a_case_written_as_an_entry_is_the_same_case(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    suite_file(tmp_path, "A=1", "prod.env")
    text = (
        HEAD
        + """
cwd = "data"
env = { A = "1", B = "{fresh.DATA}/x" }
env_file = "prod.env"
fresh = { DATA = "data" }
factory_args = { sizes = [[1, 2]], name = "x" }
server_args = ["--proxy-headers"]
access_log = true
before_replicate = "true"
"""
    )
    (case,) = suite_of(tmp_path, text).cases
    again = make_suite({"matrix": [entry(case)]}, label="t", folder=tmp_path, describe=FakeTarget())
    assert again.cases == (case,)
