"""Fuzzed suites and arguments: whatever they hold, a command ends with a sentence."""

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer
from hypothesis import note
from hypothesis import strategies as st

from faults.inprocess import command, faults_of
from loopwise.cli import app
from loopwise.model import Comparison, Generator, Load, Replicates
from loopwise.paths import scenarios_dir
from loopwise.suite.schema import Entry
from loopwise.suite.to_toml import toml

TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        *("", "/", "GET /", "GET /a?b={c}", "//x", "http://127.0.0.1:9", "http://[::1", "unix:/x", "a:b", "plain:app"),
        *("sleep", "noop", "async", "sync", "uvicorn", "granian", "1,2", "../..", "/proc/nowhere", "\x1b[2J", "=1+1"),
        *("\0", "\r\nHost: x", "a" * 300, "a" * 5000, "é", "💥", "-", "--", "NaN", "{", "{}", "%", "%s", "$(x)"),
    ]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -1, 1, 2**31, 2**63, 2**64, 1e-300, 1e300, -0.0, 5, 0.5])
VALUES = st.recursive(
    st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
JSON = VALUES | st.none()


def _keys(model: Any) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _table(model: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(_keys(model)) | TEXTS, VALUES, max_size=4)


STARTS = st.sampled_from(
    [
        {"workload": "sleep", "mode": "async"},
        {"workload": "noop", "mode": ["async", "sync"]},
        {"url": "http://127.0.0.1:9", "endpoint": "GET /"},
        {"app": "plain:app", "endpoint": "GET /"},
        {"url": "http://127.0.0.1:9", "endpoint": {"path": "/a", "method": "POST", "json": {"a": 1}}},
    ]
)
ENDPOINTS = st.fixed_dictionaries(
    {"path": TEXTS | st.just("/a")},
    optional=dict.fromkeys(
        ("method", "headers", "json", "body", "expect_status", "expect_body", "feed", "weight"), VALUES
    ),
)
ENTRIES = st.builds(
    lambda start, wild, load, endpoint: {**start, **wild, **load, **endpoint},
    STARTS,
    _table(Entry),
    st.just({}) | _table(Load).map(lambda each: {"load": each}),
    st.just({}) | ENDPOINTS.map(lambda each: {"endpoint": each}),
)
DOCUMENTS = st.fixed_dictionaries(
    {"matrix": st.lists(ENTRIES, min_size=1, max_size=2) | VALUES},
    optional={
        "name": TEXTS,
        "seed": NUMBERS,
        "load": _table(Load),
        "replicates": _table(Replicates),
        "compare": _table(Comparison),
        "generator": _table(Generator),
        "zzz": VALUES,
    },
)
SHIPPED = sorted(path.read_bytes() for path in scenarios_dir().rglob("*.toml"))
PIECES = [b"\0", b"\xff", b"[", b"]", b"[[", b'"', b"'''", b"=", b"\n", b"{", b"}", b".", b"9" * 40, b"-", b"nan", b"#"]


def harmed(content: bytes, dice: random.Random) -> bytes:
    """Bytes with one to three pieces cut, doubled, overwritten or put in."""
    for _ in range(dice.randint(1, 3)):
        begin = dice.randrange(len(content) + 1)
        end = min(len(content), begin + dice.choice([1, 2, 8, 64, len(content)]))
        piece = dice.choice([b"", content[begin:end] * 2, dice.randbytes(end - begin), dice.choice(PIECES)])
        content = content[:begin] + piece + content[end:]
    return content


SUITES = st.one_of(
    DOCUMENTS.map(lambda each: "\n".join(f"{key} = {toml(value)}" for key, value in each.items()).encode()),
    st.builds(lambda text, seed: harmed(text, random.Random(seed)), st.sampled_from(SHIPPED), st.integers(0, 2**32)),
    st.binary(max_size=60),
)
"""The bytes of suite files."""


def try_suite(folder: Path, content: bytes) -> list[str]:
    """Check a suite; what is wrong with the answer."""
    (folder / "suite.toml").write_bytes(content)
    problems = []
    for arguments in (("check", "suite.toml"), ("check", "suite.toml", "--json")):
        spoke = command(*arguments)
        note(f"{arguments}: {spoke.status} {spoke.err[:300]}")
        problems += faults_of(spoke, (0, 2))
        if "--json" in arguments and spoke.status == 0:
            with suppress(ValueError):
                json.loads(spoke.out)
                continue
            problems.append(f"no JSON: {spoke.out[:200]!r}")
    return problems


def _commands() -> list[tuple[tuple[str, ...], list[Any]]]:
    """Every command with its parameters, those of `claims` among them."""
    found: list[tuple[tuple[str, ...], list[Any]]] = []

    def walk(group: Any, words: tuple[str, ...]) -> None:
        for name, each in group.commands.items():
            if hasattr(each, "commands"):
                walk(each, (*words, name))
            else:
                found.append(((*words, name), each.params))

    walk(typer.main.get_command(app), ())
    return found


COMMANDS = _commands()
ARGUMENTS = (
    TEXTS.map(lambda text: text.replace("\0", ""))
    | NUMBERS.map(str)
    | st.sampled_from(
        [
            *("result", "result", "damaged", "suite.toml", "broken.toml", "notes.txt", "nowhere", ".", "folder"),
            *("load.users=3", "matrix.mode=sync", "matrix=[]", "load={}", "a.b.c=1", "=", "GET /", "a: b", "20ms"),
            *("throughput_rps:-5%", "csv,json", "result/runs", "/dev/null", "git:HEAD", "smoke", "C01", "quick"),
            *("\udcff", "127.0.0.1", "plain:app", "http://127.0.0.1:9"),
        ]
    )
)


@st.composite
def _lines(draw: st.DrawFn) -> list[str]:
    """A command line that is not far from one that works."""
    words, parameters = draw(st.sampled_from(COMMANDS))
    line = list(words)
    for parameter in parameters:
        is_option = parameter.param_type_name == "option"
        if is_option and draw(st.integers(0, 4)) != 0:
            continue
        if is_option:
            line.append(draw(st.sampled_from(parameter.opts)))
        if not (is_option and getattr(parameter, "is_flag", False)):
            line.append(draw(ARGUMENTS))
    if draw(st.integers(0, 9)) == 0:
        line.insert(draw(st.integers(0, len(line))), draw(ARGUMENTS))
    return line


LINES = _lines()


def try_arguments(folder: Path, line: list[str]) -> list[str]:
    """Carry out a command line; what is wrong with its ending."""
    del folder
    spoke = command(*line)
    note(f"{line}: {spoke.status} {spoke.err[:300]}")
    return faults_of(spoke)
