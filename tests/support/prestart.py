"""Stand-ins for what starts servers before their turn."""

import subprocess
import threading
from collections import defaultdict

from loopwise.measure.prestart import Start
from loopwise.model import PlannedRun
from loopwise.servers.lifecycle import RunningServer
from support.e2e import BOUND_S

A, B, C, D = (PlannedRun(case_id=name, replicate=1) for name in "abcd")


class Starter:
    """Stands for `_begin`: notes what happens, and holds the starts that it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.starts: dict[str, Start] = {}
        self.ended: list[str] = []
        self.threads: dict[str, threading.Thread] = {}
        self.errors: dict[str, BaseException] = {}
        self.gates: dict[str, threading.Event] = {}
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.has_begun: dict[str, threading.Event] = defaultdict(threading.Event)

    def hold(self, name: str) -> threading.Event:
        """The start will take until the event is set."""
        self.gates[name] = gate = threading.Event()
        return gate

    def __call__(self, planned: PlannedRun, start: Start) -> RunningServer:
        name, stack = planned.case_id, start.stack
        if name in self.processes:
            start.note(self.processes[name])
        stack.callback(self.ended.append, name)
        self.begun.append(name)
        self.starts[name] = start
        self.threads[name] = threading.current_thread()
        self.has_begun[name].set()
        if name in self.gates:
            # What ends a server makes the start that waits for it end, too.
            stack.callback(self.gates[name].set)
            assert self.gates[name].wait(BOUND_S)
        if name in self.errors:
            raise self.errors[name]
        return RunningServer(f"http://{name}", self.processes.get(name))


def wait_for(starter: Starter, *names: str) -> None:
    for name in names:
        assert starter.has_begun[name].wait(BOUND_S)
