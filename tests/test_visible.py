"""Texts of others: what a terminal, a sentence and a file show of them."""

import ast
import io
import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from support.docs import ROOT
from support.fakes import case_of, run_of

from loopwise.generator.protocol import Event
from loopwise.measure.plan import Span, Standing
from loopwise.model import PlannedRun
from loopwise.report.terminal.console import ErrorStream, Output, guarded_output, print_json, print_text, say
from loopwise.report.terminal.progress import watching
from loopwise.report.terminal.screen import Screen, plain
from loopwise.visible import clean, encodable, inert, message, visible

EVIL = "a\x1b[31m\x1b]0;title\x07\x9b2J\x7f\u202e\u2066\r\x08\ud800[red]b[/red][link=http://x]c[/link]:x:"
SHOWN = r"a\x1b[31m\x1b]0;title\x07\x9b2J\x7f\u202e\u2066\x0d\x08\ud800[red]b[/red][link=http://x]c[/link]:x:"
OUR_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
OUR_MOVES = re.compile(r"\x1b\[(\?25[lh]|[0-9]*[AK]|2K)|\r")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 日本語 🚀 é", "plain 日本語 🚀 é"),
        (EVIL, SHOWN),
        ("two\n\tlines", "two\n\tlines"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("\U000e0041 tag", r"\U000e0041 tag"),
    ],
)
def test_what_does_not_show_itself_is_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters()))
def test_no_text_has_a_character_that_commands(text: str) -> None:
    for shown in (visible(text), clean(text), message(text)):
        assert not {unicodedata.category(char) for char in set(shown) - set("\n\t")} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        assert visible(shown) == shown
        shown.encode()
    assert "\n" not in clean(text)


def test_no_further_line_of_a_message_begins_at_the_margin() -> None:
    assert message("it said: no\nerror: fine") == "it said: no\n    error: fine"
    assert message("Its last lines:\n    a\n      b") == "Its last lines:\n    a\n      b"


@given(st.recursive(st.text(st.characters()), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_every_document_can_be_encoded(document: Any) -> None:
    repr(encodable(document)).encode()


def screen(*, is_terminal: bool) -> Screen:
    return Screen(file=io.StringIO(), force_terminal=is_terminal, width=80, _environ={"TERM": "xterm"})


def table() -> Table:
    made = Table("[red]x", EVIL, title=EVIL)
    made.add_row(EVIL, Text(EVIL))
    made.add_row(plain(EVIL), EVIL)
    return made


def progress(to: Screen) -> None:
    case, standing = case_of("sleep-async"), Standing({}, 0, 1, Span(1.0, 1.0), 1.0)
    with watching(to, quiet=False, names={case.case_id: EVIL}) as watcher:
        watcher.run_began(PlannedRun(case_id=case.case_id, replicate=1), case, 1, 1)
        watcher.run_progressed(Event(event="progress", phase="window", rows=1))
        watcher.run_ended(run_of(case, status="failed", error=f"{EVIL}\nIt said so."), None, standing)


PRINTED: dict[str, Callable[[Screen], None]] = {
    "a message": lambda to: say(to, EVIL),
    "a styled message": lambda to: say(to, EVIL, "bold red"),
    "a string": lambda to: to.print(EVIL),
    "a text": lambda to: to.print(Text(EVIL)),
    "a table": lambda to: to.print(table()),
    "a group": lambda to: to.print(Group(EVIL, Panel(EVIL, title=Text(EVIL)))),
    "progress": progress,
}


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "log"])
@pytest.mark.parametrize("kind", PRINTED)
def test_nothing_that_is_printed_commands_the_terminal(kind: str, is_terminal: bool) -> None:
    to = screen(is_terminal=is_terminal)
    PRINTED[kind](to)
    assert isinstance(to.file, io.StringIO)
    text = to.file.getvalue()
    text = OUR_MOVES.sub("", OUR_COLOURS.sub("", text)) if is_terminal else text
    assert visible(text) == text
    assert r"\x1b" in text
    assert "[red]" in text


def test_what_the_option_parser_quotes_commands_nothing() -> None:
    stream = io.StringIO()
    assert ErrorStream(stream).write(EVIL) == len(EVIL)
    assert stream.getvalue() == SHOWN


def test_the_text_of_a_file_is_printed_with_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    print_text('{"name": "\x9b\u202e"}\n')
    assert capsys.readouterr().out == '{"name": "\\x9b\\u202e"}\n'


def ci_commands(log: str) -> list[str]:
    """Lines that a CI service obeys: those of actions/runner (ActionCommand.cs), Azure Pipelines and TeamCity."""
    begins = ("::", "##teamcity[")
    return [line for line in log.split("\n") if line.lstrip().startswith(begins) or "##[" in line or "##vso[" in line]


ORDERS = ("::error::x", " \t\xa0::set-output name=a::b", "a ##[add-mask]b", "##vso[task.x]y", "##teamcity[x]")


@given(st.lists(st.sampled_from([*ORDERS, *"#[:\n \ta", "##", "::", "a\n"])))
def test_nothing_that_is_printed_commands_a_ci_service(pieces: list[str]) -> None:
    stream = io.StringIO()
    output = Output(stream)
    for piece in pieces:
        assert output.write(piece) == len(piece)
    assert not ci_commands(stream.getvalue())
    assert inert(stream.getvalue()) == stream.getvalue()
    assert stream.getvalue().count("\n") == "".join(pieces).count("\n")


def test_what_programs_read_stays_what_it_is_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    with guarded_output():
        print_json({ORDERS[0]: ORDERS})
    printed = capsys.readouterr().out
    assert ci_commands(printed) == []
    assert json.loads(printed) == {ORDERS[0]: list(ORDERS)}


COMMANDS = {
    "an argument too many": ["report", "a", EVIL.replace("\ud800", "")],
    "no such result": ["report", f"{EVIL.replace(chr(0xD800), '')}\nerror: all is well"],
    "no such suite": ["check", EVIL.replace("\ud800", "")],
    "no such option": ["check", f"--{EVIL.replace(chr(0xD800), '')}"],
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_quotes_its_arguments_with_escapes(case: str) -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "bench.py", *COMMANDS[case]], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert r"\x1b[31m" in ended.stderr
    assert visible(ended.stdout + ended.stderr) == ended.stdout + ended.stderr
    assert "\nerror: all is well" not in ended.stderr


def test_a_name_of_others_commands_no_ci_service(tmp_path: Path) -> None:
    """An app's exception, quoted with the line that it printed."""
    (tmp_path / "evil.py").write_text("raise RuntimeError('no\\n::error::pwned\\n##[set-env name=a]b')\n")
    ended = subprocess.run(
        [sys.executable, ROOT / "bench.py", "init", "fresh", "--app", "evil:app"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in {2, 3}
    assert "pwned" in ended.stderr
    assert ci_commands(ended.stdout + ended.stderr) == []


PRINTERS = {
    "loopwise/report/terminal/console.py": "where all is printed",
    "loopwise/report/terminal/screen.py": "the same",
    "loopwise/cli/__init__.py": "streams that are guarded; sentences of errors, as messages through ErrorStream",
    "loopwise/cli/crash.py": "through ErrorStream",
    "loopwise/cli/options.py": "notes, as messages through ErrorStream",
    "loopwise/generator/__main__.py": "a pipe to the harness",
    "loopwise/generator/script_errors.py": "the generator's log",
    "loopwise/servers/postgres.py": "a pipe to the harness",
    "loopwise/servers/installed.py": "the text of a program for another interpreter",
    "loopwise/calibrate/probe_cost.py": "a developer's command, its own figures",
    "loopwise/calibrate/report_scale.py": "a developer's command, its own figures",
}
"""Modules that print by themselves, and why no text of others passes there."""


def prints(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"print", "Console"}
    if isinstance(node, ast.Attribute):
        return node.attr in {"echo", "secho"} or ast.unparse(node) in {"sys.stdout", "sys.stderr"}
    return isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Console" for base in node.bases)


def test_nothing_prints_past_the_screen() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "loopwise").rglob("*.py")
        if any(map(prints, ast.walk(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert found <= set(PRINTERS), found - set(PRINTERS)
