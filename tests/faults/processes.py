"""Signals to the command, and the death or suspension of what it started."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import psutil

from faults.commands import COMMANDS
from faults.fault import Fault, Ground
from faults.place import DOCUMENTED, END_S, PAUSE_S, RUN_S, Place, again, resumed, said

JITTER_S = 2 * PAUSE_S
"""A fault comes so long after its phase began, at most: while the command waits there, or just after."""
STOPPED_S = 1.5
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONG = ("claims run", "selftest", "calibrate")
"""Commands that are not carried out to their end."""


def send(number: signal.Signals, process: "subprocess.Popen[str]", _: Place) -> None:
    process.send_signal(number)


def to_group(number: signal.Signals, process: "subprocess.Popen[str]", _: Place) -> None:
    os.killpg(process.pid, number)


def twice(number: signal.Signals, process: "subprocess.Popen[str]", place: Place) -> None:
    process.send_signal(number)
    time.sleep(place.ground.dice.uniform(0.0, 0.3))
    process.send_signal(number)


def suspended(_: signal.Signals, process: "subprocess.Popen[str]", place: Place) -> None:
    del place
    process.send_signal(signal.SIGSTOP)
    time.sleep(STOPPED_S)
    process.send_signal(signal.SIGCONT)


def to_part(word: str, number: signal.Signals, process: "subprocess.Popen[str]", place: Place) -> None:
    """Signal a process that the command started, chosen by a word of its command line."""
    del process
    for each in place.processes(word)[:1]:
        with suppress(psutil.NoSuchProcess):  # its time was over already
            each.send_signal(number)
            if number == signal.SIGSTOP:
                time.sleep(STOPPED_S)
                each.send_signal(signal.SIGCONT)


def signalled(command: str, phase: str, number: signal.Signals, how: Callable[..., None], ground: Ground) -> list[str]:
    """Do it, and judge what became of the command and what it left."""
    place, spec = Place(ground), COMMANDS[command]
    try:
        nth = spec.nth.get(phase, 1)
        process = place.launch(spec.line(place), hook=spec.phases[phase], nth=nth)
        if not place.await_phase(process):
            return [f"the phase was not reached: {place.wait(process).output[-300:]}"]
        time.sleep(ground.dice.uniform(0.0, JITTER_S))
        ports = place.ports()
        how(number, process, place)
        is_ending = number in {*HANDLED, signal.SIGKILL} and not isinstance(how, partial)
        ended = place.wait(process, END_S if is_ending else RUN_S)
        killed = {-signal.SIGKILL} if is_ending and number == signal.SIGKILL else set()
        killed |= {-number} if how is twice else set()
        is_tidy = not killed
        if number in HANDLED and (not spec.is_resumable or "report: " in ended.output):
            killed |= {-number}  # all was done and said, and the interpreter was ending
        problems = said(ended, DOCUMENTED | killed)
        if ended.status == 130 and not ended.last_line.startswith("interrupted by "):
            problems.append(f"does not say that it was interrupted: {ended.last_line!r}")
        if ended.status == 130 and spec.is_resumable and (place.result / "experiment.json").exists():
            problems += [] if "--resume" in ended.last_line or "report" in ended.last_line else ["no way on is named"]
        # A killed harness, or one whose user could not wait, has no time to remove what is temporary.
        problems += place.leftovers(ports, scratch=is_tidy)
        if spec.is_resumable:
            problems += resumed(place)
        elif spec.is_quick:
            problems += again(place, spec.line(place))
        return problems + place.leftovers(scratch=is_tidy)
    finally:
        place.end_all()


def _fault(kind: str, command: str, phase: str, holds: str, number: signal.Signals, how: Callable[..., None]) -> Fault:
    return Fault("process", kind, command, phase, holds, partial(signalled, command, phase, number, how))


def faults() -> list[Fault]:
    """Every signal in every phase of every command; parts of a measurement that die or are suspended."""
    found = []
    for command, spec in COMMANDS.items():
        for phase in spec.phases:
            for number in HANDLED:
                holds = f"ends with 130 and says `interrupted by {number.name}`"
                found.append(_fault(number.name, command, phase, holds, number, send))
            found.append(_fault("SIGKILL", command, phase, "what was recorded is kept", signal.SIGKILL, send))
            if command not in LONG:
                found.append(_fault("SIGSTOP and SIGCONT", command, phase, "goes on", signal.SIGSTOP, suspended))
    for command in ("run", "run with slices", "try", "duel", "report", "blame", "claims run"):
        for phase in COMMANDS[command].phases:
            found.append(_fault("Ctrl-C in a terminal", command, phase, "ends with 130", signal.SIGINT, to_group))
            found.append(_fault("Ctrl-C twice", command, phase, "ends at once", signal.SIGINT, twice))
    for command in ("run", "run with slices", "duel"):
        phases = [name for name in COMMANDS[command].phases if name in {"load begins", "window", "slices", "recording"}]
        for phase in phases:
            for word, what in PARTS.items():
                for number in (signal.SIGKILL, signal.SIGSTOP):
                    kind = f"{what} {'killed' if number == signal.SIGKILL else 'suspended'}"
                    found.append(_fault(kind, command, phase, "costs that run at most", number, partial(to_part, word)))
    return found


PARTS = {"loopwise_probe": "server", "loopwise.generator": "generator", "watchdog.py": "watchdog"}
"""Word in the command line of what a command started -> its name in the document."""
