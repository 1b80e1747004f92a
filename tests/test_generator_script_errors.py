"""Exceptions of a Locust file are counted wherever its code raises them, and the first is named with its line."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fault_server import FaultServer
from support.generator import Generated, scripted

from loopwise.generator.client import Generators
from loopwise.model import ScriptFigures

MORE = "import gevent, logging, sys\nfrom locust.exception import *\n"
IDLE = """
class Visitor(User):
    wait_time = constant(0.02)

    @task
    def idle(self):
        pass
"""


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def erring(pool: Generators, folder: Path, server: FaultServer, text: str, **more: Any) -> Generated:
    return scripted(pool, folder, server, MORE + textwrap.dedent(text), **{"measure_s": 0.4} | more)


def script_of(run: Generated) -> ScriptFigures:
    figures = run.events[-1].figures.script
    assert figures is not None
    return figures


def line_of(folder: Path, mark: str) -> str:
    """`script.py:LINE` of the line that ends with a mark."""
    lines = (folder / "script.py").read_text("utf-8").splitlines()
    return f"script.py:{next(number for number, line in enumerate(lines, 1) if line.endswith(mark))}"


RAISING = {
    "task": """
        class Visitor(User):
            wait_time = constant(0.02)

            @task
            def look(self):
                {}["id"]  # here
        """,
    "on_start": """
        class Visitor(User):
            wait_time = constant(0.02)

            def on_start(self):
                {}["id"]  # here

            @task
            def look(self):
                pass
        """,
    "on_stop": IDLE
    + """
    def on_stop(self):
        {}["id"]  # here
""",
    "on_stop of a TaskSet": """
        class Visitor(User):
            wait_time = constant(0.02)

            @task
            class Steps(TaskSet):
                def on_stop(self):
                    {}["id"]  # here

                @task
                def look(self):
                    pass
        """,
    "wait_time": """
        class Visitor(User):
            def wait_time(self):
                return {}["id"]  # here

            @task
            def look(self):
                pass
        """,
    "listener": IDLE
    + """
@events.test_start.add_listener
def begin(**_):
    {}["id"]  # here
""",
    "listener of requests": """
        @events.request.add_listener
        def listen(**_):
            {}["id"]  # here

        class Visitor(FastHttpUser):
            wait_time = constant(0.02)

            @task
            def look(self):
                self.client.get("/ok")
        """,
    "shape": IDLE
    + """
class Steps(LoadTestShape):
    def tick(self):
        return {}["id"]  # here
""",
    "child greenlet": """
        class Visitor(User):
            wait_time = constant(0.02)

            @task
            def look(self):
                gevent.spawn(self.child).join()

            def child(self):
                {}["id"]  # here
        """,
}


@pytest.mark.e2e
@pytest.mark.parametrize("name", RAISING)
def test_an_exception_is_counted_and_named_with_its_line(
    name: str, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    script = script_of(erring(pool, tmp_path, server, RAISING[name]))
    assert (script.first_error, script.first_error_at) == ("KeyError: 'id'", line_of(tmp_path, "# here"))
    assert script.errors > 0


@pytest.mark.e2e
def test_each_exception_counts_once_beside_the_executions(
    pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = erring(pool, tmp_path, server, RAISING["task"])
    script = script_of(run)
    assert script.errors == script.tasks > 2


@pytest.mark.e2e
def test_control_flow_of_locust_is_no_error_of_the_script(
    pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    text = """
        class Steps(TaskSet):
            @task
            def leave(self):
                self.interrupt(reschedule=False)

        class Visitor(User):
            wait_time = constant(0.01)
            tasks = [Steps]

            @task
            def again(self):
                raise RescheduleTask()

            @task
            def caught(self):
                try:
                    {}["id"]
                except KeyError:
                    logging.exception("the script knows")
        """
    script = script_of(erring(pool, tmp_path, server, text))
    assert (script.errors, script.first_error, script.stopped_at) == (0, "", "")
    assert script.tasks > 2


@pytest.mark.e2e
@pytest.mark.parametrize("method", ["on_start", "task"])
def test_users_that_stop_are_told_from_where(
    method: str, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    body = "raise StopUser()  # here"
    text = f"""
        class Visitor(User):
            wait_time = constant(0.01)

            def on_start(self):
                {body if method == "on_start" else "pass"}

            @task
            def look(self):
                {body if method == "task" else "pass"}
        """
    run = erring(pool, tmp_path, server, text)
    script, figures = script_of(run), run.events[-1].figures
    assert (script.errors, script.stopped_at) == (0, line_of(tmp_path, "# here"))
    assert (figures.users, figures.users_wanted) == (0, 2)
    assert figures.users_gone_s is not None


@pytest.mark.e2e
def test_warm_up_does_not_wait_for_users_that_the_script_ended(
    pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    text = """
        class Visitor(FastHttpUser):
            wait_time = constant(0.02)
            made = 0

            def on_start(self):
                Visitor.made += 1
                if Visitor.made == 2:
                    raise StopUser()

            @task
            def look(self):
                self.client.get("/ok")
        """
    figures = erring(pool, tmp_path, server, text, warmup_max_s=60.0).events[-1].figures
    assert (figures.users, figures.users_wanted, figures.users_mean) == (1, 2, 1.0)


@pytest.mark.e2e
def test_a_script_that_exits_ends_its_user_and_not_the_run(
    pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    text = """
        class Visitor(FastHttpUser):
            wait_time = constant(0.02)

            @task
            def look(self):
                self.client.get("/ok")
                sys.exit(3)  # here
        """
    run = erring(pool, tmp_path, server, text)
    script = script_of(run)
    assert (script.errors, script.first_error) == (2, "SystemExit: 3")
    assert script.first_error_at == line_of(tmp_path, "# here")
    assert len(run.finished) == 2


@pytest.mark.e2e
def test_users_without_a_task_are_named_by_their_class(pool: Generators, server: FaultServer, tmp_path: Path) -> None:
    script = script_of(erring(pool, tmp_path, server, "class Visitor(User):  # here\n    wait_time = constant(0.02)\n"))
    assert "No tasks defined on Visitor" in script.first_error
    assert script.first_error_at == line_of(tmp_path, "# here")


@pytest.mark.e2e
def test_errors_of_several_processes_are_added_up(pool: Generators, server: FaultServer, tmp_path: Path) -> None:
    text = RAISING["task"].replace("{}[", '(self.client.get("/ok"), {})[1][').replace("(User)", "(FastHttpUser)")
    run = erring(pool, tmp_path, server, text, processes=2)
    script = script_of(run)
    assert script.errors == len(run.finished) > 4
    assert 0 <= script.tasks - script.errors <= 2  # the end of the run cut off a request of each user
    assert script.first_error_at == line_of(tmp_path, "# here")


def test_of_several_processes_the_first_error_in_time_is_named() -> None:
    late = ScriptFigures(tasks=5, errors=2, first_error="B", first_error_at="b.py:2", first_error_ns=20)
    early = ScriptFigures(tasks=7, errors=1, first_error="A", first_error_at="a.py:1", first_error_ns=10)
    stopped = ScriptFigures(tasks=1, stopped_at="c.py:3")
    whole = ScriptFigures.merged([stopped, late, early])
    assert whole == early.model_copy(update={"tasks": 13, "errors": 3, "stopped_at": "c.py:3"})
    assert ScriptFigures.merged([]) is None


def test_lone_surrogates_in_names_failures_and_exceptions_harm_no_row(
    pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = erring(
        pool,
        tmp_path,
        server,
        r"""
        from loopwise import StampedUser

        class Mine(StampedUser):
            wait_time = constant(0.02)

            @task
            def look(self):
                self.client.get("/ok", name="a\ud800")
                with self.client.get("/ok", name="b", catch_response=True) as answer:
                    answer.failure("lost \udc80")
                raise ValueError("odd \udfff")

        class Theirs(FastHttpUser):
            wait_time = constant(0.02)

            @task
            def look(self):
                self.client.get("/ok", name="c\ud800")
        """,
    )
    outcomes = {(row["endpoint"], row["error"]) for row in run.finished}
    assert outcomes == {(r"GET a\ud800", None), ("GET b", r"lost \udc80"), (r"GET c\ud800", None)}
    assert script_of(run).first_error == r"ValueError: odd \udfff"


@pytest.mark.parametrize("client", ["StampedUser", "HttpUser", "FastHttpUser"])
def test_a_script_without_files_for_connections_has_rows_that_say_so(
    client: str, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = erring(
        pool,
        tmp_path,
        server,
        f"""
        import os, resource
        from loopwise import StampedUser

        @events.test_start.add_listener
        def leave_no_files(**_):
            some = len(os.listdir("/proc/self/fd")) + 3
            resource.setrlimit(resource.RLIMIT_NOFILE, (some, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

        class Visitor({client}):
            wait_time = constant(0.02)

            @task
            def look(self):
                self.client.get("/ok")
        """,
        users=12,
    )
    kinds = {(row["status"], row["error"]) for row in run.finished}
    assert kinds == {(200, None), (0, "too_many_files")}
