"""`try` and `init`: a suite without writing one, and one to begin with."""

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.suite import FakeTarget

from loopwise.errors import UsageError
from loopwise.model import Suite
from loopwise.suite import baseline_pairs, load_suite, make_suite
from loopwise.suite.openapi import Listing
from loopwise.suite.own_app import listing, named_app
from loopwise.suite.scaffold import trial_document, write_suite

PLAIN_APP = """
async def app(scope, receive, send): ...

async def served(scope, receive, send):
    is_document = scope["path"] == "/swagger.json"
    body = b'{"swagger": "2.0", "basePath": "/v2", "paths": {"/pets": {"get": {}}}}' if is_document else b"{}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
SHOP_PATHS = """
async def app(scope, receive, send): ...
app.openapi = lambda: {"paths": {"/fine": {"get": {}}}}
"""
SHOP = """
from fastapi import FastAPI, WebSocket
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

class Order(BaseModel):
    count: int

app = FastAPI()
print("a word on stdout")

@app.get("/items")
def items() -> list[int]:
    return []

@app.get("/items/{number}")
def item(number: int) -> int:
    return number

@app.post("/orders")
async def order(order: Order) -> None: ...

@app.get("/internal", include_in_schema=False)
async def internal() -> None: ...

app.mount("/files", StaticFiles(directory="."))
outer = FastAPI()
outer.mount("/shop", app)

@outer.websocket("/ws")
async def talk(socket: WebSocket) -> None: ...
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shöp 🚀"
    folder.mkdir()
    (folder / "shop.py").write_text(SHOP)
    (folder / "plain.py").write_text(PLAIN_APP)
    return folder


def tried(folder: Path, target: str = "plain:app", **options: Any) -> Suite:
    fields: dict[str, Any] = {"workers": "1", "users": 50, "app_dir": folder, "python": None}
    document = trial_document(target, ["GET /a", "POST /b"], **(fields | options))
    return make_suite(document, label="try", folder=folder, describe=FakeTarget())


def test_try_compares_worker_counts_with_the_first(shop: Path) -> None:
    suite = tried(shop, workers="1,2", users=7)
    assert [(case.workload, case.workers) for case in suite.cases] == [
        *(("GET /a", 1), ("GET /a", 2), ("POST /b", 1), ("POST /b", 2))
    ]
    assert {case.load.users for case in suite.cases} == {7}
    assert {case.mode for case in suite.cases} == {"own"}
    assert len(baseline_pairs(suite)) == 2
    assert suite.cases[0].app is not None
    assert suite.cases[0].app.app_dir == str(shop)
    assert suite.cases[0].app.python == sys.executable


def test_try_on_one_number_of_workers_compares_nothing(shop: Path) -> None:
    assert tried(shop).compare.baseline == {}


def test_try_takes_the_interpreter_of_the_app(shop: Path) -> None:
    (case, _) = tried(shop, python=Path(sys.executable)).cases
    assert case.app is not None
    assert case.app.python == sys.executable


def test_try_of_a_url_starts_no_server(shop: Path) -> None:
    suite = tried(shop, "http://127.0.0.1:9000")
    assert [(case.url, case.server) for case in suite.cases] == [("http://127.0.0.1:9000", None)] * 2


@pytest.mark.parametrize("workers", ["", "two", "1,", "1;2", "1.5"])
def test_workers_that_are_no_numbers_are_refused(shop: Path, workers: str) -> None:
    with pytest.raises(UsageError) as raised:
        tried(shop, workers=workers)
    assert str(raised.value) == f"--workers: got {workers!r}, allowed are numbers and commas; write 1,2,4"


def test_the_suite_that_init_writes_is_valid_and_commented(tmp_path: Path) -> None:
    path = write_suite(tmp_path / "new" / "folder", None).path
    suite = load_suite(str(path), describe=FakeTarget())
    assert [case.mode for case in suite.cases] == ["async", "sync", "blocking"]
    assert len(baseline_pairs(suite)) == 2
    text = path.read_text()
    assert str(path) in text
    assert text.count("#") > 10


def test_init_asks_only_for_what_needs_and_harms_nothing(shop: Path, tmp_path: Path) -> None:
    wrote = write_suite(tmp_path / "bench", named_app("init", "shop:app", shop, None))
    suite = load_suite(str(wrote.path), describe=FakeTarget())
    assert {case.workload for case in suite.cases} == {"GET /items"}
    assert {case.workers for case in suite.cases} == {1, 2}
    assert (wrote.active, wrote.commented) == (1, 3)
    text = wrote.path.read_text()
    entry = tomllib.loads(text)["matrix"][0]
    assert entry["app_dir"] == "../shöp 🚀"
    assert [line.strip() for line in text.splitlines() if line.startswith("  #")] == [
        '# "GET /items/1",  # has required parameters: path number',
        '# { method = "POST", path = "/orders", json = { count = 1 } },  # changes data; needs a JSON body',
        '# "GET /internal",  # is in no OpenAPI document, which would say what it needs',
        "# left out: /files (mounted StaticFiles)",
    ]


def test_include_unsafe_makes_complete_requests_active(shop: Path, tmp_path: Path) -> None:
    path = write_suite(tmp_path / "bench", named_app("init", "shop:app", shop, None), include_unsafe=True).path
    cases = load_suite(str(path), describe=FakeTarget()).cases
    assert {case.workload for case in cases} == {"GET /items", "POST /orders", "GET /internal"}
    assert {case.endpoints[0].json_body for case in cases if case.workload == "GET /items"} == {None}
    assert [case.endpoints[0].json_body for case in cases if case.workload == "POST /orders"] == [{"count": 1}] * 2


def test_names_of_an_app_cannot_leave_their_comment(tmp_path: Path) -> None:
    (tmp_path / "sly.py").write_text(
        "async def app(scope, receive, send): ...\n"
        "name = 'q\\n  \"DELETE /everything\",\\r #'\n"
        "q = {'in': 'query', 'name': name, 'required': True}\n"
        "app.openapi = lambda: {'paths': {'/a b\\n': {'get': {'parameters': [q]}}, '/fine': {'get': {}}}}\n"
    )
    path = write_suite(tmp_path / "bench", named_app("init", "sly:app", tmp_path, None)).path
    cases = load_suite(str(path), describe=FakeTarget()).cases
    assert {case.workload for case in cases} == {"GET /fine"}


def test_an_app_without_an_openapi_document_gets_its_root(shop: Path, tmp_path: Path) -> None:
    app = named_app("init", "plain:app", shop, Path(sys.executable))
    assert (listing(app).operations, listing(app).left_out) == ([], [])
    path = write_suite(tmp_path / "bench", app).path
    assert tomllib.loads(path.read_text())["matrix"][0]["endpoint"] == ["GET /"]


def test_mounted_apps_are_listed_below_their_prefix(shop: Path) -> None:
    offered = listing(named_app("init", "shop:outer", shop, None))
    assert [each.name for each in offered.active()] == ["GET /shop/items"]
    assert offered.left_out == ["/shop/files (mounted StaticFiles)", "/ws (WebSocket)"]


def test_what_is_mounted_is_asked_below_the_root_path_of_its_app(shop: Path) -> None:
    (shop / "proxied.py").write_text(
        "import shop, starlette.applications as a, starlette.routing as r\n"
        "app = a.Starlette(routes=[r.Mount('/shop', shop.app)])\napp.root_path = '/api/v1'\n"
    )
    offered = listing(named_app("init", "proxied:app", shop, None))
    assert [each.name for each in offered.active()] == ["GET /api/v1/shop/items"]


def test_a_document_that_the_app_serves_is_found(shop: Path) -> None:
    offered = listing(named_app("init", "plain:served", shop, None))
    assert [(each.name, each.inactive()) for each in offered.operations] == [("GET /v2/pets", "")]


WSGI_APP = """
from types import SimpleNamespace as Rule

def app(environ, start_response):
    start_response("200 OK", [])
    is_document = environ["PATH_INFO"] == "/swagger.json"
    return [b'{"swagger": "2.0", "paths": {"/pets": {"get": {}}}}' if is_document else b"[]"]

def bare(environ, start_response):
    raise KeyError(environ["PATH_INFO"])

class Flask:
    url_map = Rule(iter_rules=lambda: [
        Rule(rule="/static/<path:filename>", methods={"GET", "HEAD"}, endpoint="static"),
        Rule(rule="/items/<int:number>", methods={"GET", "HEAD", "OPTIONS"}, endpoint="item"),
        Rule(rule="/orders", methods={"POST", "OPTIONS"}, endpoint="orders"),
    ])
    def __call__(self, environ, start_response):
        raise KeyError

flask = Flask()
"""


@pytest.mark.parametrize(
    ("target", "endpoints", "left_out"),
    [
        ("app", ["GET /pets"], []),
        ("bare", [], []),
        ("flask", ["GET /items/{number}", "POST /orders"], ["/static/{filename} (static files)"]),
    ],
)
def test_a_wsgi_app_is_known_and_listed(target: str, endpoints: list[str], left_out: list[str], tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text(WSGI_APP)
    offered = listing(named_app("init", f"web:{target}", tmp_path, None))
    assert offered.interface == "wsgi"
    assert [each.name for each in offered.operations] == endpoints
    assert offered.left_out == left_out
    assert "uvicorn" in offered.distributions


@pytest.mark.parametrize(
    ("installed", "lines"),
    [
        ({"granian", "uvicorn"}, ('"wsgi"', '"granian"', False)),
        ({"granian", "gunicorn"}, ('"wsgi"', '"gunicorn"', False)),
        ({"a2wsgi", "uvicorn"}, ('"a2wsgi"', '"uvicorn"', False)),
        ({"flask"}, ('"wsgi"', '"gunicorn"', True)),
    ],
)
def test_init_serves_a_wsgi_app_by_what_is_installed(
    installed: set[str], lines: tuple[str, str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Listing([], [], "wsgi", frozenset(installed))
    monkeypatch.setattr("loopwise.suite.scaffold.listing", lambda *_: found)
    wrote = write_suite(tmp_path, named_app("init", "web:app", tmp_path, None))
    text = wrote.path.read_text()
    interface, server, is_missing = lines
    assert (f"interface = {interface}\nserver = {server}\n" in text, "is not installed" in text) == (True, is_missing)
    case, *_ = load_suite(str(wrote.path), describe=FakeTarget()).cases
    assert case.server is not None
    assert (case.server.interface, wrote.is_guess) == (interface.strip('"'), True)


def test_an_app_is_read_in_its_working_directory_with_its_variables(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "late.py").write_text(
        "import os\nfrom pathlib import Path\nassert Path('.env').exists() and os.environ['URL'] == 'x'\n" + SHOP_PATHS
    )
    (tmp_path / ".env").write_text("URL=x\n")
    app = named_app("init", "late:app", tmp_path / "src", None, tmp_path)
    path = write_suite(tmp_path / "bench", app, env_file=str(tmp_path / ".env")).path
    entry = tomllib.loads(path.read_text())["matrix"][0]
    assert (entry["endpoint"], entry["cwd"], entry["env_file"]) == (["GET /fine"], "..", "../.env")
    case, *_ = load_suite(str(path), describe=FakeTarget()).cases
    assert case.app is not None
    assert case.app.folder == str(tmp_path.resolve())


def test_the_environments_search_path_is_kept(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(shop))
    assert [each.name for each in listing(named_app("init", "shop:app", tmp_path, None)).active()] == ["GET /items"]


@pytest.mark.parametrize(
    ("app", "options", "words"),
    [
        ("nowhere:app", {}, "nowhere"),
        ("shop:nothing", {}, "nothing"),
        ("shop", {}, "shop"),
        ("shop:app", {"python": Path("/no/such/python")}, "/no/such/python"),
        ("shop:app", {"app_dir": Path("/no/such/folder")}, "/no/such/folder"),
    ],
)
def test_init_writes_nothing_for_an_app_without_import(
    shop: Path, tmp_path: Path, app: str, options: dict[str, Path], words: str
) -> None:
    fields: dict[str, Any] = {"app_dir": shop, "python": None}
    with pytest.raises(UsageError) as raised:
        write_suite(tmp_path / "bench", named_app("init", app, **(fields | options)))
    assert str(raised.value).startswith(("init: ", f"{app}: "))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "bench").exists()


def test_a_suite_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already; name another folder, or remove it"):
        write_suite(tmp_path, None)
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file: File exists, so no suite can be written there; name another folder$"):
        write_suite(tmp_path / "file", None)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
