"""Entries with `app`, `url` or `scenario`: somebody's own code, found from the suite's folder."""

import sys
from pathlib import Path

import pytest
from support.suite import FakeTarget, suite_file, suite_of

from loopwise.model import Endpoint


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
