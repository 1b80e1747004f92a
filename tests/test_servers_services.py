"""Services on small programs: started once, known to have lived, started anew, ended however the block ends."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.fakes import FakeBench, carry_out, case_of, new_result, suite_with

from loopwise.errors import EndpointError, Interrupted, ServiceError, UsageError
from loopwise.model import Case
from loopwise.servers import services
from loopwise.servers.lifecycle import RunningServer
from loopwise.servers.services import SEED, Service, Services

SERVES = "import json, os, time; print(json.dumps({'WHO': str(os.getpid())}), flush=True); time.sleep(60)"
DIES = "import sys; sys.exit('no room on this machine')"
CHATS = "print('hello', flush=True)"


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a program in the place of all services."""

    def put(program: str, missing: str | None = None) -> None:
        entry = Service(lambda: [sys.executable, "-I", "-S", "-c", program], lambda: missing)
        monkeypatch.setattr(services, "SERVICES", {"one": entry})

    return put


def test_service_starts_once_and_ends_with_the_block(tmp_path: Path, offer: Callable[..., None]) -> None:
    offer(SERVES)
    with Services(tmp_path) as running:
        with running.during([], "1/1") as variables:
            assert variables == {}
        assert not (tmp_path / "one.log").exists()
        with running.during(["one"], "1/1") as first:
            assert first[SEED] == "1/1"
        with running.during(["one"], "1/2") as second:
            assert second == {**first, SEED: "1/2"}
        process = psutil.Process(int(first["WHO"]))
    assert not process.is_running()


def test_death_of_a_service_fails_the_run_and_it_restarts(tmp_path: Path, offer: Callable[..., None]) -> None:
    offer(f"import sys; print('last words', file=sys.stderr, flush=True); {SERVES}")
    with Services(tmp_path) as running:
        with pytest.raises(ServiceError) as raised, running.during(["one"], "1/1") as first:
            kill(first["WHO"])
        assert "service one ended with status -9 during the run" in str(raised.value)
        assert "last words" in str(raised.value)
        with running.during(["one"], "1/1") as second:
            assert second["WHO"] != first["WHO"]
        kill(second["WHO"])  # between two runs: nobody's run is lost
        with running.during(["one"], "1/1") as third:
            assert third["WHO"] not in {first["WHO"], second["WHO"]}


def kill(pid: str) -> None:
    process = psutil.Process(int(pid))
    process.kill()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        pass


def fail(running: Services, error: BaseException) -> None:
    """A run in which the service dies, and then something is raised."""
    with running.during(["one"], "1/1") as variables:
        kill(variables["WHO"])
        raise error


def test_death_is_the_cause_of_later_errors_but_interrupts(tmp_path: Path, offer: Callable[..., None]) -> None:
    offer(SERVES)
    with Services(tmp_path) as running:
        with pytest.raises(ServiceError):
            fail(running, EndpointError("answered 500"))
        with pytest.raises(EndpointError), running.during(["one"], "1/1"):
            raise EndpointError("answered 500")
        with pytest.raises(Interrupted):
            fail(running, Interrupted("Ctrl-C"))


def test_death_under_both_servers_of_a_pair_is_raised_once(tmp_path: Path, offer: Callable[..., None]) -> None:
    offer(SERVES)
    with Services(tmp_path) as running:
        with pytest.raises(ServiceError, match="service one ended"), running.during(["one"], "1/1"):
            fail(running, EndpointError("answered 500"))
        with running.during(["one"], "1/1") as variables:
            assert psutil.pid_exists(int(variables["WHO"]))


@pytest.mark.parametrize("program", [DIES, CHATS])
def test_service_that_does_not_start_is_quoted(program: str, tmp_path: Path, offer: Callable[..., None]) -> None:
    offer(program)
    with Services(tmp_path) as running:
        for _ in range(2):
            with pytest.raises(ServiceError, match="service one can't be started") as raised:
                running.during(["one"], "1/1").__enter__()
            assert ("no room on this machine" in str(raised.value)) == (program is DIES)


def test_service_that_is_never_ready_is_given_up(
    tmp_path: Path, offer: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer("import time; time.sleep(60)")
    monkeypatch.setattr(services, "START_TIMEOUT_S", 0.2)
    with Services(tmp_path) as running, pytest.raises(ServiceError, match=r"not ready within 0\.2 s"):
        running.during(["one"], "1/1").__enter__()


def test_missing_program_is_refused_before_anything_starts(offer: Callable[..., None]) -> None:
    offer(SERVES, "it needs a program; install it")
    services.refuse_missing([])
    with pytest.raises(UsageError, match="service one can't be started: it needs a program; install it, or leave"):
        services.refuse_missing(["one"])


def programs(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (folder / name).touch(mode=0o755)
    return folder


def test_postgres_programs_are_on_path_or_debians_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert services.postgres_programs(tmp_path / "debian") is None
    programs(tmp_path / "debian" / "9.6" / "bin")
    newest = programs(tmp_path / "debian" / "15" / "bin")
    assert services.postgres_programs(tmp_path / "debian") == newest
    mine = programs(tmp_path / "mine")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "initdb").symlink_to(mine / "initdb")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert services.postgres_programs(tmp_path / "debian") == mine


def test_missing_postgresql_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "postgres_programs", lambda: None)
    with pytest.raises(UsageError, match="sudo apt install postgresql"):
        services.refuse_missing(["postgres", "upstream"])


def test_root_without_an_unprivileged_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "postgres_programs", lambda: Path("/usr/bin"))
    monkeypatch.setattr(services, "unprivileged_user", lambda: None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(UsageError, match="PostgreSQL refuses to run as root"):
        services.refuse_missing(["postgres"])


def test_only_the_run_whose_service_died_fails(tmp_path: Path, offer: Callable[..., None]) -> None:
    offer(SERVES)
    result, experiment = new_result(
        tmp_path / "r", suite_with(case_of("plain"), case_of("needing", needs=("one",)), replicates=(2, 2))
    )
    bench = FakeBench()
    given: list[dict[str, str]] = []
    serve = bench.serve

    @contextmanager
    def counted(case: Case, *, services: Mapping[str, str], **options: Any) -> Iterator[RunningServer]:
        with serve(case, services=services, **options) as server:
            yield server
        if case.needs:
            given.append(dict(services))
            if len(given) == 1:
                kill(services["WHO"])
        else:
            assert services == {}

    bench.serve = counted  # type: ignore[method-assign]  # a fake that is watched
    carry_out(result, experiment, bench)
    runs, _ = result.runs()
    assert [run.status for run in runs if run.case.case_id == "plain"] == ["ok", "ok"]
    assert sorted(run.status for run in runs if run.case.case_id == "needing") == ["failed", "ok"]
    assert [each[SEED] for each in given] == [f"{experiment.seed}/1", f"{experiment.seed}/2"]
    assert given[0]["WHO"] != given[1]["WHO"]
    assert not psutil.pid_exists(int(given[1]["WHO"]))
