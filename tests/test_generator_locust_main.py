"""A Locust file finds what Locust's command line sets up: options, events of every process, logging, import path."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.fault_server import BEHAVIOURS, FaultServer
from support.generator import SCRIPT_HEAD, generate, scripted

from loopwise.errors import GeneratorError, SuiteError
from loopwise.generator.client import Generators, generators, refuse_scripts
from loopwise.model import Case, Load, Suite

pytestmark = pytest.mark.e2e

OPTIONS = """
@events.init_command_line_parser.add_listener
def add(parser):
    parser.add_argument("--tenant", default="acme", env_var="TENANT")
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--zones", nargs="*", default=[])
"""
VISITOR = """
class Visitor(FastHttpUser):
    wait_time = constant(0.02)

    @task
    def look(self):
        self.client.get("/ok")
"""
EVENTS = """
import os
from locust import events

def note(name):
    def listen(**_):
        os.write(1, f"\\nheard {name} {os.getpid()}\\n".encode())
    return listen

for name in ("init", "test_start", "spawning_complete", "test_stopping", "test_stop", "quitting", "quit"):
    getattr(events, name).add_listener(note(name))
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "generator.log"


@pytest.fixture
def pool(log: Path) -> Iterator[Generators]:
    with generators(log) as pool:
        yield pool


def suite_of(folder: Path, text: str, options: Mapping[str, Any]) -> Suite:
    """A suite of one case: the text as a Locust file, with options."""
    path = folder / "script.py"
    path.write_text(SCRIPT_HEAD + textwrap.dedent(text), "utf-8")
    case = Case(
        case_id="script", workload="script", mode="own", endpoints=(), load=Load(), scenario=str(path), options=options
    )
    return Suite(name="mine", cases=(case,))


def test_options_come_from_suite_environment_and_defaults(
    pool: Generators, server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANT", "from-env")
    monkeypatch.setenv("LOCUST_LOGLEVEL", "debug")
    text = f"""
    {textwrap.indent(OPTIONS, "    ").strip()}

    class Visitor(FastHttpUser):
        wait_time = constant(0.02)

        @task
        def look(self):
            told = self.environment.parsed_options
            values = told.tenant, told.depth, told.dry, told.zones, told.loglevel, told.num_users, told.headless
            self.client.get("/ok", name=repr(values))
    """
    run = scripted(pool, tmp_path, server, text, options={"depth": 3, "dry": True, "zones": ["a", "b"]})
    names = {row["endpoint"] for row in run.rows}
    assert names == {"GET ('from-env', 3, True, ['a', 'b'], 'DEBUG', 2, True)"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tennant": "x"}, 'got "tennant", allowed are tenant, depth, dry, zones, tags, '),
        ({"depth": "deep"}, "argument --depth: invalid int value: 'deep'"),
        ({"depth": [1, 2]}, '"depth" got a list, allowed is one value'),
        ({"dry": 1}, '"dry" got 1, allowed are true and false'),
        ({"tenant": True}, '"tenant" got true, allowed is a text'),
        ({"users": 5}, '"users" is decided by users of [load]'),
        ({"html": "x.html"}, '"html" has no effect under Loopwise'),
        ({"tags": ["nowhere"]}, "leave Visitor no task"),
        ({"user_classes": ["Other"]}, 'user_classes got "Other", allowed are Visitor'),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_unmeasured(
    options: Mapping[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(SuiteError) as raised:
        refuse_scripts(suite_of(tmp_path, OPTIONS + VISITOR, options))
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\nraise KeyError('x')", "cannot be loaded (KeyError: 'x', line 4)"),
        ("open('nowhere.csv')", "relative paths start from the working directory"),
        (VISITOR + "Again = type('Visitor', (Visitor,), {})", "several user classes named Visitor"),
        (
            VISITOR + "class A(LoadTestShape):\n    tick = None\nclass B(A): pass",
            "has the load shapes A and B; keep one",
        ),
        ("import os\nos._exit(5)", "loading it ended its process with status 5; remove what ends it"),
        (VISITOR + "Visitor.weight = 0", "all its user classes have the weight 0"),
        (
            "class A(HttpUser):\n    host = 'http://a'\nclass B(HttpUser):\n    host = 'http://b'",
            "have the hosts http://a and http://b",
        ),
    ],
)
def test_a_script_that_cannot_be_used_is_refused_unmeasured(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as raised:
        refuse_scripts(suite_of(tmp_path, text, {}))
    assert str(raised.value).startswith("mine: script.py: ")
    assert sentence in str(raised.value)


def test_a_script_that_asks_its_target_while_loaded_may_be_used(tmp_path: Path) -> None:
    text = "import socket\nsocket.create_connection(('127.0.0.1', 9))\n" + VISITOR
    refuse_scripts(suite_of(tmp_path, text, {}))


def test_tags_choose_tasks_and_user_classes_are_chosen_by_name(
    pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    text = """
    class Base(FastHttpUser):
        abstract = True
        wait_time = constant(0.02)

        @tag("read", "slow")
        @task
        def both(self):
            self.client.get("/ok", name="both")

        @tag("read")
        @task
        def read(self):
            self.client.get("/ok", name="read")

        @task
        def untagged(self):
            self.client.get("/ok", name="untagged")

    class First(Base):
        pass

    class Second(Base):
        def on_start(self):
            self.client.get("/ok", name="second")
    """
    options = {"tags": ["read"], "exclude-tags": ["slow"], "user_classes": ["First"]}
    run = scripted(pool, tmp_path, server, text, options=options)
    assert {row["endpoint"] for row in run.rows} == {"GET read"}


def heard(log: Path) -> dict[str, list[str]]:
    """Events that each process of the run heard, in order."""
    events: dict[str, list[str]] = {}
    for line in log.read_text("utf-8").splitlines():
        if line.startswith("heard "):
            _, name, pid = line.split()
            events.setdefault(pid, []).append(name)
    return events


@pytest.mark.parametrize("processes", [1, 2])
def test_every_process_hears_all_events_from_init_to_quit(
    processes: int, pool: Generators, server: FaultServer, tmp_path: Path, log: Path
) -> None:
    scripted(pool, tmp_path, server, EVENTS + VISITOR, processes=processes, measure_s=0.5)
    by_process = heard(log)
    assert len(by_process) == (1 if processes == 1 else 1 + processes)
    for names in by_process.values():
        assert names[:2] == ["init", "test_start"]
        assert Counter(names) == dict.fromkeys(
            ["init", "test_start", "spawning_complete", "test_stopping", "test_stop", "quitting", "quit"], 1
        )
        assert names[-4:] == ["test_stopping", "test_stop", "quitting", "quit"]


def test_an_init_listener_that_raises_ends_the_run(pool: Generators, server: FaultServer, tmp_path: Path) -> None:
    text = "@events.init.add_listener\ndef begin(environment, **_):\n    {}['token']\n" + VISITOR
    with pytest.raises(GeneratorError, match=r"its listener of init failed \(KeyError: 'token', line 5\)"):
        scripted(pool, tmp_path, server, text)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_script_that_quits_keeps_its_rows_and_misses_users(
    processes: int, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    text = """
    import gevent
    from locust.runners import WorkerRunner

    @events.init.add_listener
    def begin(environment, **_):
        if not isinstance(environment.runner, WorkerRunner):
            gevent.spawn_later(0.6, environment.runner.quit)
    """
    run = scripted(pool, tmp_path, server, textwrap.dedent(text) + VISITOR, processes=processes, measure_s=1.5)
    assert len(run.rows) > 10 or processes == 2
    figures = run.events[-1].figures
    assert figures.users == 0
    assert figures.users_wanted == 2


def test_what_a_script_logs_at_info_is_in_the_log(
    pool: Generators, server: FaultServer, tmp_path: Path, log: Path
) -> None:
    text = "import logging\n@events.test_start.add_listener\ndef begin(**_):\n    logging.info('the cart opens')\n"
    scripted(pool, tmp_path, server, text + VISITOR)
    assert "/INFO/root: the cart opens" in log.read_text("utf-8")


def test_files_named_like_standard_modules_are_not_taken_for_them(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`numbers` is imported late by other packages, and from the working directory by `python -m`."""
    script = tmp_path / "numbers.py"
    script.write_text(
        SCRIPT_HEAD
        + "import helper\n"
        + textwrap.dedent(
            """
            class Visitor(FastHttpUser):
                wait_time = constant(0.02)

                @task
                def look(self):
                    import late
                    import numbers
                    self.client.get("/ok", name=f"{helper.WORD} {late.WORD} {numbers.Number.__name__}")
            """
        ),
        "utf-8",
    )
    for name in ("helper", "late"):
        (tmp_path / f"{name}.py").write_text(f"WORD = {name!r}\n", "utf-8")
    (tmp_path / "decimal.py").write_text("raise SystemExit('taken for a module of Python')\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    with generators(tmp_path / "generator.log") as pool:
        run = generate(pool, tmp_path, server.url, scenario=script, users=1, measure_s=0.2)
    assert {row["endpoint"] for row in run.rows} == {"GET helper late Number"}


@pytest.mark.parametrize("client", ["HttpUser", "FastHttpUser"])
def test_the_path_of_a_host_in_the_file_is_kept(client: str, pool: Generators, tmp_path: Path) -> None:
    text = f"""
    class Reader({client}):
        host = "http://api.example:8000/api/v1/"
        wait_time = constant(0.02)

        @task
        def read(self):
            self.client.get("/items", name=f"{{self.host[-7:]}} {{self.environment.host[-7:]}}")
    """
    with FaultServer({"/api/v1/items": BEHAVIOURS["/ok"]}) as server:
        run = scripted(pool, tmp_path, server, text)
    assert set(server.seen) == {"GET /api/v1/items"}
    assert {row["endpoint"] for row in run.rows} == {"GET /api/v1 /api/v1"}
