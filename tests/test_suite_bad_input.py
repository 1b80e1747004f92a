"""Whatever is wrong with a suite: one sentence, with file and key, and nothing started."""

import sys
from pathlib import Path

import pytest
from support.suite import sentence, suite_file, suite_of

from loopwise import machine
from loopwise.errors import RunError, SuiteError
from loopwise.suite import load_suite

ENTRY = '[[matrix]]\nworkload = "sleep"\nmode = "async"\n'
APP = '[[matrix]]\napp = "shop:app"\nendpoint = "/"\n'
URL = '[[matrix]]\nurl = "http://127.0.0.1:9000"\n'

WRONG_VALUES = [
    ("", "matrix: got no entries; begin each entry with a line [[matrix]]"),
    ("matrix = []", "matrix: got no entries"),
    ('[matrix]\nworkload = "sleep"', "begin each entry with a line [[matrix]] in double brackets"),
    ("matrix = [3]", "matrix[0]: got 3 (a whole number), allowed is a table"),
    ("matrix = 3", "matrix: got 3; begin each entry with a line [[matrix]]"),
    ('name = "a/b"\n' + ENTRY, 'name: got "a/b", allowed is letters, digits'),
    ("seed = -1\n" + ENTRY, "seed: got -1, allowed is 0 or more"),
    (
        "sed = 1\n" + ENTRY,
        'sed: unknown key (did you mean "seed"?), allowed are compare, description, generator, load',
    ),
    (ENTRY + 'wokers = [1]\nmdoe = "x"', 'matrix[0].wokers: unknown key (did you mean "workers"?)'),
    (ENTRY + 'wokers = [1]\nmdoe = "x"', "rename or remove it (and 1 more)"),
    (ENTRY + "workers = true", "matrix[0].workers: got true (a boolean), allowed is a whole number"),
    (ENTRY + 'workers = "2"', 'matrix[0].workers: got "2" (a string), allowed is a whole number'),
    (ENTRY + "workers = 1.5", "matrix[0].workers: got 1.5 (a number), allowed is a whole number"),
    (ENTRY + "workers = [1, 0]", "matrix[0].workers[1]: got 0, allowed is 1 or more"),
    (ENTRY + "workers = [1, 300]", "matrix[0].workers[1]: got 300, allowed is 256 or less"),
    (ENTRY + "workers = []", "matrix[0].workers: got [], allowed is at least one value"),
    (
        ENTRY + 'server = "uvicron"',
        'got "uvicron", allowed are uvicorn, gunicorn, gunicorn-asgi, granian, hypercorn (did you',
    ),
    (ENTRY + 'loop = "trio"', 'matrix[0].loop: got "trio", allowed are auto, asyncio, uvloop'),
    (ENTRY + "params = { ms = [] }", "matrix[0].params.ms: got [], allowed is at least one value"),
    (ENTRY + "params = { ms = { a = 1 } }", "allowed are numbers, strings and booleans"),
    (ENTRY + "params = { ms = 1979-05-27 }", 'params.ms: got "1979-05-27", allowed are numbers'),
    (ENTRY + "params = 5", "matrix[0].params: got 5 (a whole number), allowed is a table"),
    (ENTRY + "load = { users = 0 }", "matrix[0].load.users: got 0, allowed is 1 or more"),
    (ENTRY + "load = { user = 1 }", 'matrix[0].load.user: unknown key (did you mean "users"?)'),
    (ENTRY + 'load = { model = "opne" }', 'allowed are closed, open (did you mean "open"?)'),
    ("load = 3\n" + ENTRY, "load: got 3 (a whole number), allowed is a table"),
    ("[load]\nusers = 0\n" + ENTRY, "load.users: got 0, allowed is 1 or more"),
    ("[load]\nusers = [5, true]\n" + ENTRY, "load.users[1]: got true (a boolean)"),
    ("[load]\nmeasure_s = -1\n" + ENTRY, "load.measure_s: got -1, allowed is 0.001 or more"),
    ("[load]\nwarmup_s = -0.5\n" + ENTRY, "load.warmup_s: got -0.5, allowed is 0 or more"),
    ("[load]\nmeasure_s = nan\n" + ENTRY, "load.measure_s: got NaN, allowed is a finite number"),
    ("[load]\nmeasure_s = inf\n" + ENTRY, "load.measure_s: got Infinity, allowed is a finite number"),
    ('[load]\nvictim = "health"\n' + ENTRY, 'load.victim: got "health", allowed is a path such as /items/1'),
    ("[load]\nwarmup_s = 5\nwarmup_max_s = 2\n" + ENTRY, "load.warmup_max_s: got 2, allowed is warmup_s (5)"),
    ("[load]\nrate_rps = 9\n" + ENTRY, 'load.rate_rps: has no meaning with model = "closed"'),
    ('[load]\nmodel = "open"\nusers = 9\n' + ENTRY, 'load.users: has no meaning with model = "open"'),
    (ENTRY + "load = { rate_rps = 9 }", 'matrix[0].load.rate_rps: has no meaning with model = "closed"'),
    ("[replicates]\nmin = 5\nmax = 3\n" + ENTRY, "replicates.min: got 5, allowed is max (3) or less"),
    ("[replicates]\nmin = 0\n" + ENTRY, "replicates.min: got 0, allowed is 1 or more"),
    ("[replicates]\nmin = true\n" + ENTRY, "replicates.min: got true (a boolean)"),
    ("[compare]\nmargin = 5\n" + ENTRY, "compare.margin: got 5, allowed is less than 1"),
    ("[compare]\nmargin = nan\n" + ENTRY, "compare.margin: got NaN"),
]

WRONG_TOGETHER = [
    ("[[matrix]]\nworkers = 1", "matrix[0]: has none of app, url, workload, scenario, mix; add the one"),
    ('[[matrix]]\nworkload = "sleep"', "matrix[0].mode: is missing; name the modes to compare"),
    (ENTRY + 'app = "shop:app"', "matrix[0].workload: can't be combined with app"),
    (
        ENTRY + 'endpoint = "/x"',
        "matrix[0].endpoint: can't be combined with workload, allowed are workload, params",
    ),
    (ENTRY + 'scenario = "x.py"', "matrix[0].scenario: can't be combined with workload"),
    (APP + 'features = "streaming"', "matrix[0].features: can't be combined with app"),
    (URL + 'endpoint = "/"\nworkers = 2', "matrix[0].workers: can't be combined with url"),
    (URL + 'endpoint = "/"\nthreads = 2', "matrix[0].threads: can't be combined with url"),
    (URL, "matrix[0].endpoint: is missing; name a request"),
    ('[[matrix]]\napp = "shop:app"', "matrix[0].endpoint: is missing; name a request"),
    (URL + 'endpoint = "/"\nmix = [{ endpoint = "/a" }]', "matrix[0].mix: can't be combined with endpoint"),
    (URL + 'endpoint = "/"\nname = "root"', "matrix[0].name: names a mix, a journey or one scenario"),
    (URL + 'endpoint = "/"\noptions = { a = 1 }', "matrix[0].options: belongs to a Locust file; add scenario"),
    (URL + "mix = []", "matrix[0].mix: got [], allowed is at least one value"),
    (URL + "mix = [{ weight = 2 }]", "matrix[0].mix[0].endpoint: is missing; add it"),
    (URL + 'mix = [{ endpoint = "/a", weight = 0 }]', "matrix[0].mix[0].weight: got 0, allowed is 1 or more"),
    (URL + 'endpoint = ["/a", "FETCH /b"]', 'matrix[0].endpoint[1]: got "FETCH /b", allowed is a method'),
    (URL + 'endpoint = "GET items"', "allowed is a method and a path such as"),
    (URL + 'endpoint = "//else.where/"', 'endpoint: got "//else.where/", allowed is a path'),
    (URL + 'endpoint = "GET http://else.where/"', "matrix[0].endpoint: got"),
    (
        URL + 'endpoint = { path = "/", metod = "GET" }',
        'matrix[0].endpoint.metod: unknown key (did you mean "',
    ),
    (URL + 'endpoint = { method = "GET" }', "matrix[0].endpoint.path: is missing"),
    (URL + 'endpoint = { method = "PSOT", path = "/" }', '(did you mean "POST"?)'),
    (URL + 'endpoint = { path = "/", expect_status = 2 }', "expect_status: got 2, allowed is 100 or more"),
    (URL + 'endpoint = { path = "/", headers = { X-A = "東" } }', 'endpoint.headers.X-A: got "東", it has'),
    (URL + 'endpoint = { path = "/", headers = { X-A = "a\\nb" } }', "which is a control character; correct the value"),
    (URL + 'endpoint = { path = "/", headers = { "X A" = "" } }', "headers.X A: it is no name of a header"),
    (
        URL + 'endpoint = ["/", { path = "/", headers = { content-length = "3" } }]',
        "endpoint[1].headers.content-length: ",
    ),
    (URL + 'endpoint = { path = "/", headers = { Transfer-Encoding = "x" } }', "follows from the body"),
    (URL + 'endpoint = { path = "/", headers = { X-A = "1", x-a = "2" } }', '"X-A" and "x-a" are the same header'),
    (
        URL + 'endpoint = { path = "/", headers = { X-A = 1 } }',
        "headers.X-A: got 1 (a whole number), allowed is",
    ),
    (URL + 'endpoint = { path = "/", json = { at = 1979-05-27 } }', "endpoint.json: got"),
    (APP.replace("shop:app", "shop.py"), 'matrix[0].app: got "shop.py", allowed is "module:attribute" or'),
    (APP.replace("shop:app", "shop:app()()"), "matrix[0].app: got"),
    (APP + 'python = "no/bin/python"', 'matrix[0].python: got "no/bin/python", but there is no file'),
    (APP + 'python = ["no-such-python"]', 'matrix[0].python: got "no-such-python", but there is no file'),
    (APP + 'app_dir = "nowhere"', 'matrix[0].app_dir: got "nowhere", but there is no folder'),
    ('[[matrix]]\nscenario = "no.py"', 'matrix[0].scenario: got "no.py", but there is no file'),
    ('[[matrix]]\nscenario = "ok.py"\noptions = { a = { b = 1 } }', 'options.a: got {"b": 1}, allowed are numbers'),
    ('[[matrix]]\nscenario = "x.toml"', "allowed is a Locust file ending in .py"),
    ('[load]\nmodel = "open"\n[[matrix]]\nscenario = "ok.py"', 'scenario: needs model = "closed"'),
    ('[load]\nthink_s = 1\n[[matrix]]\nscenario = "ok.py"', "scenario: allows no think_s"),
    ('[load]\nshape = "ok.py:Steps"\n[[matrix]]\nscenario = "ok.py"', "scenario: allows no shape in its load; put"),
    (ENTRY + 'load = { shape = "no.py:Steps" }', 'matrix[0].load.shape: got "no.py", but there is no file'),
    (
        ENTRY + 'load = { shape = "ok.py" }',
        'matrix[0].load.shape: got "ok.py", allowed is a file and its LoadTestShape',
    ),
    ('[load]\nshape = "ok.py:Steps"\nusers = 5\n' + ENTRY, "load.users: is decided by shape; remove it"),
    (
        '[load]\nshape = "ok.py:Steps"\n' + ENTRY + "load = { spawn_rate = 2.0 }",
        "matrix[0].load.spawn_rate: is decided by shape; remove it",
    ),
    ('[load]\nmodel = "open"\nshape = "ok.py:Steps"\n' + ENTRY, 'load.shape: has no meaning with model = "open"'),
    (
        ENTRY + "params = { ms = [-5] }",
        "matrix[0].params.ms: got -5, allowed is more than 0; correct the value or",
    ),
    (
        ENTRY + ENTRY.replace("async", "asink"),
        'matrix[1].mode: got "asink", allowed are async, sync, blocking',
    ),
    (ENTRY.replace("sleep", "slep"), 'run "bench.py list workloads"'),
    (ENTRY + f"port = {list(range(1, 10_002))}", "matrix[0]: makes 10001 cases, allowed are 10000"),
]


@pytest.mark.parametrize(("text", "fragment"), WRONG_VALUES)
def test_a_wrong_value_is_named_with_its_key_and_what_is_allowed(tmp_path: Path, text: str, fragment: str) -> None:
    assert fragment in sentence(tmp_path, text)


@pytest.mark.parametrize(("text", "fragment"), WRONG_TOGETHER)
def test_what_does_not_stand_together_or_does_not_exist_is_named(tmp_path: Path, text: str, fragment: str) -> None:
    assert fragment in sentence(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ('name = "a"\nload = = 3\n', "line 2, column 8: TOML syntax error, invalid value; correct the line"),
        ('name = "a', "TOML syntax error"),
        ("a = 1\na = 2\n", "line 2, column 6: TOML syntax error, cannot overwrite a value"),
    ],
)
def test_a_syntax_error_is_named_with_line_and_column(tmp_path: Path, text: str, fragment: str) -> None:
    assert fragment in sentence(tmp_path, text)


def test_a_file_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(SuiteError, match="byte 8 is no UTF-8; save the file as UTF-8"):
        load_suite(str(tmp_path / "x.toml"))


def test_an_unknown_suite_lists_the_suites_there_are() -> None:
    with pytest.raises(SuiteError) as raised:
        load_suite("quik")
    message = str(raised.value)
    assert message.startswith('quik: no such suite (did you mean "quick"?); the suites there are: full, ')
    assert "smoke" in message


def test_a_folder_is_no_suite(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"is a folder, no suite; give the path of a \.toml file in it"):
        load_suite(str(tmp_path))


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    message = sentence(tmp_path, f'[[matrix]]\nurl = "unix:/{"s" * 120}"\nendpoint = "/"')
    assert "matrix[0].url: the path /sss" in message
    assert "has 121 bytes, a socket's may have 103" in message


@pytest.mark.parametrize(
    ("load", "text", "fragment"),
    [
        ("users = 5000", URL + 'endpoint = "/"', "load.users: got 5000, but a process may open 4096 files here"),
        ("users = 1", URL + 'endpoint = "/"\nload = { users = [1, 5000] }', "matrix[0].load.users: got 5000"),
        ('model = "open"\nmax_connections = 4000', URL + 'endpoint = "/"', "load.max_connections: got 4000"),
        ("users = 5000", ENTRY + "workers = [2, 1]\n[generator]\nprocesses = 2", "load.users: got 5000"),
    ],
)
def test_more_users_than_open_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: str, text: str, fragment: str
) -> None:
    monkeypatch.setattr(machine, "most_open_files", lambda: 4096)
    assert fragment in sentence(tmp_path, f"[load]\n{load}\n{text}")


def test_processes_share_the_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "most_open_files", lambda: 4096)
    suite_of(tmp_path, f"[generator]\nprocesses = 2\n[load]\nusers = 5000\n{ENTRY}workers = 2")


def test_an_interpreter_that_cannot_be_executed_is_refused(tmp_path: Path) -> None:
    suite_file(tmp_path, "", "python")
    assert "can't be executed; give the environment's bin/python" in sentence(tmp_path, APP + 'python = "./python"')


@pytest.mark.parametrize(
    ("url", "fragment"),
    [
        ("http://example.com", "if example.com is yours to load, add --allow-remote example.com"),
        ("http://10.0.0.1:80", "add --allow-remote 10.0.0.1"),
        ("http://0.0.0.0:80", "add --allow-remote 0.0.0.0"),
        ("http://localhost.example.com", "add --allow-remote localhost.example.com"),
        ("http://127.0.0.1@example.com", "allowed are scheme, host and port alone"),
        ("http://127.0.0.1.example.com", "add --allow-remote 127.0.0.1.example.com"),
        ("http://127.0.0.1/api", "put a path into endpoint"),
        ("http://127.0.0.1:99999", "but a port is a number from 1 to 65535"),
        ("ftp://127.0.0.1", "allowed is a URL such as"),
        ("127.0.0.1:9000", "allowed is a URL such as"),
        ("http://[::1", "allowed is a URL such as"),
        ("unix:", 'allowed is the path of a socket such as "unix:/run/app.sock"'),
        ("unix:/run/", "allowed is the path of a socket"),
        ("", "allowed is a URL such as"),
    ],
)
def test_a_url_must_be_a_server_on_this_machine(tmp_path: Path, url: str, fragment: str) -> None:
    message = sentence(tmp_path, f'[[matrix]]\nurl = "{url}"\nendpoint = "/"')
    assert "matrix[0].url: got" in message
    assert fragment in message


def test_a_target_app_without_an_answer_is_a_run_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "target_app"
    package.mkdir()
    suite_file(package, "", "__init__.py")
    monkeypatch.setattr("loopwise.servers.target.target_app_dir", lambda: tmp_path)
    suite = str(suite_file(tmp_path, ENTRY))
    answers = {
        "raise SystemExit('broken today')": r"ended with status 1 \(broken today\)",
        "print('no json')": "its answer is no JSON",
        "print('[]')": "answered 1 questions with something else",
    }
    for program, expected in answers.items():
        suite_file(package, program, "__main__.py")
        with pytest.raises(RunError, match=expected):
            load_suite(suite)


def test_the_default_interpreter_is_our_own(tmp_path: Path) -> None:
    app = suite_of(tmp_path, APP).cases[0].app
    assert app is not None
    assert app.python == sys.executable
