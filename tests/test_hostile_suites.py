"""Suites from somebody else: what `check` and their names can do before anybody has decided to run them."""

import json
from pathlib import Path

import pytest
from support.cli import Bench, commanding

NAMES = ["../../evil", "/tmp/evil", "a/b", ".hidden", "", "..", "a\\u0000b", "a\\nb"]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    return commanding(monkeypatch, capsys)


def test_check_starts_no_program_that_a_suite_names(bench: Bench, tmp_path: Path) -> None:
    program, trace = tmp_path / "python", tmp_path / "was started"
    program.write_text(f"#!/bin/sh\ntouch '{trace}'\n")
    program.chmod(0o755)
    (tmp_path / "app.py").write_text(f"open({str(trace)!r}, 'w')\n")
    suite = tmp_path / "suite.toml"
    entry = f'app = "app:app"\npython = {json.dumps(str(program))}\nbefore_replicate = {json.dumps(str(program))}\n'
    suite.write_text(f'name = "theirs"\n[[matrix]]\n{entry}endpoint = "/"\n')
    status, out, _ = bench("check", suite)
    assert (status, trace.exists()) == (0, False)
    assert "1 case" in out


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_suite_leads_out_of_no_folder(bench: Bench, tmp_path: Path, name: str) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text(f'name = "{name}"\n[[matrix]]\nurl = "http://127.0.0.1:9"\nendpoint = "/"\n')
    status, _, err = bench("run", suite, "--quiet")
    assert status == 2
    assert "allowed is letters, digits, dots, - and _" in err or "null byte" in err
    assert [each.name for each in tmp_path.iterdir()] == ["suite.toml"]
