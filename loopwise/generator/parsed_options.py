"""Locust's options for a Locust file, Locust's own and the file's: from the suite, LOCUST_* variables and defaults."""

import argparse
import logging
import math
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import locust
import locust.event
from locust import argument_parser
from locust.argument_parser import LocustArgumentParser

from loopwise.errors import GeneratorError
from loopwise.generator.protocol import Order
from loopwise.generator.script import Script, refusing

SUITE_KEYS = {
    "host": "url, or app,",
    "num_users": "users of [load]",
    "spawn_rate": "spawn_rate of [load]",
    "run_time": "measure_s of [load]",
    "processes": "processes of [generator]",
    "locustfile": "scenario",
}
"""Options of Locust that a key of the suite decides -> that key."""
EFFECTIVE = (
    "tags",
    "exclude_tags",
    "user_classes",
    "equal_weights",
    "config_users",
    "stop_timeout",
    "reset_stats",
    "loglevel",
    "skip_log_setup",
    "exit_code_on_error",
    "profile",
)
"""Options of Locust that a suite may set; the others concern its web page, its reports and its own processes."""


class _Parser(LocustArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GeneratorError(f"options: {message}")


def parse_options(script: Script, order: Order) -> Namespace:
    """Parse the options of a run, as `locust --headless` would; configuration files are not read.

    Raises:
        GeneratorError: an option is unknown, of a wrong type, missing, or without effect here.
    """
    parser = _Parser(add_help=False, default_config_files=[], add_env_var_help=False, add_config_file_help=False)
    parser.add_argument("-f", "--locustfile", default=str(script.path))
    untyped: Any = argument_parser
    untyped.setup_parser_arguments(parser)
    known = {action.dest for action in parser._actions}
    with refusing(script.path, "its listener of init_command_line_parser failed"), strict_listeners():
        events: Any = locust.events
        events.init_command_line_parser.fire(parser=parser)
    actions = [_action(parser, name, script, known) for name in order.options]
    # User classes first: options with several values would take them for their own.
    pairs = sorted(zip(actions, order.options.values(), strict=True), key=lambda pair: bool(pair[0].option_strings))
    try:
        options = parser.parse_args([word for action, value in pairs for word in _words(action, value)])
    except SystemExit as error:
        raise GeneratorError(f"options: a value ends Locust ({error}); correct it") from error
    for action, value in pairs:
        if isinstance(value, bool) and action.type is bool:  # bool("false") is true
            setattr(options, action.dest, value)
    return _of_this_run(options, order)


def _of_this_run(options: Namespace, order: Order) -> Namespace:
    """Set what the suite's own keys decide, and what `locust` sets in a master and its workers."""
    load = order.load
    vars(options).update(
        host=order.url,
        num_users=load.users,
        spawn_rate=load.spawn_rate or float(load.users),
        run_time=math.ceil(load.warmup_s + load.measure_s),
        headless=True,
        autostart=False,
        master=False,
        worker=False,
        processes=order.processes if order.processes > 1 else None,
        expect_workers=order.processes,
        logfile=None,
    )
    return options


def _action(parser: LocustArgumentParser, name: str, script: Script, known: set[str]) -> argparse.Action:
    """The option of a name, written as on the command line or as its attribute is called."""
    actions: list[argparse.Action] = parser._actions
    flag = name.replace("_", "-")
    action = next((each for each in actions if name == each.dest or flag in _flags(each)), None)
    own = [each.dest for each in actions if each.dest not in known]
    if action is None:
        raise GeneratorError(
            f'options: got "{name}", allowed are {", ".join([*own, *EFFECTIVE])}; '
            f"correct the name, or add the option to {script.path.name}"
        )
    if action.dest in SUITE_KEYS:
        raise GeneratorError(f'options: "{name}" is decided by {SUITE_KEYS[action.dest]} of the suite; remove it here')
    if action.dest not in (*own, *EFFECTIVE):
        raise GeneratorError(f'options: "{name}" has no effect under Loopwise; remove it')
    return action


def _flags(action: argparse.Action) -> list[str]:
    return [text.lstrip("-").replace("_", "-") for text in action.option_strings]


def _words(action: argparse.Action, value: Any) -> Iterator[str]:
    """The words of a command line that give an option its value."""
    flag = max(action.option_strings, key=len, default="")
    several = action.nargs in ("*", "+") or isinstance(action.nargs, int)
    appends = isinstance(action, argparse._AppendAction)
    if isinstance(value, list) and not (action.nargs != 0 and (several or appends)):
        raise GeneratorError(f'options: "{action.dest}" got a list, allowed is one value; correct it')
    if action.nargs == 0:
        yield from _switch(action, flag, value)
    elif isinstance(value, bool) and action.type in (None, str, int, float):
        raise GeneratorError(
            f'options: "{action.dest}" got {str(value).lower()}, allowed is {_allowed(action)}; correct it'
        )
    elif isinstance(value, list) and not appends:
        yield from [flag, *map(_text, value)] if flag else map(_text, value)
    elif isinstance(value, list):
        yield from (f"{flag}={_text(each)}" for each in value)
    else:
        yield f"{flag}={_text(value)}" if flag else _text(value)


def _allowed(action: argparse.Action) -> str:
    return "a number" if action.type in (int, float) else "a text"


def _switch(action: argparse.Action, flag: str, value: Any) -> Iterator[str]:
    """An option without a value: true and false are what its attribute becomes."""
    if not isinstance(value, bool):
        raise GeneratorError(f'options: "{action.dest}" got {value!r}, allowed are true and false; correct it')
    if isinstance(action, argparse.BooleanOptionalAction):
        yield next(text for text in action.option_strings if text.startswith("--no-") is not value)
    elif value == action.const:
        yield flag


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def strict_listeners() -> Iterator[None]:
    """Raise what a listener of Locust's events raises, which Locust would only log."""
    catcher = _Catcher()
    logging.getLogger().addHandler(catcher)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(catcher)
    if catcher.error is not None:
        raise catcher.error


class _Catcher(logging.Handler):
    """Keeps the first exception that Locust's event hooks log."""

    error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.pathname == locust.event.__file__:
            self.error = self.error or sys.exc_info()[1]
