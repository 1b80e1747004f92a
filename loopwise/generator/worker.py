"""A generator worker: `python -m loopwise.generator.worker HOST PORT`. Ends when its stdin or its master does."""

# ruff: noqa: E402 - gevent must patch the standard library before anything else is imported
from gevent import monkey

monkey.patch_all()

import gc
import io
import os
import sys
import time
import traceback
from typing import Any

import gevent
import locust
from gevent.fileobject import FileObject
from locust.env import Environment

from loopwise.generator.connection import keep_stamping
from loopwise.generator.kinds import traffic_of
from loopwise.generator.protocol import Order
from loopwise.generator.recorder import FLUSH_INTERVAL_S, Recorder
from loopwise.generator.traffic import Traffic
from loopwise.generator.workers import FINISH, MARK, ORDER, REPORT


class Worker:
    """Carries out the orders of a master; Locust's worker runner spawns the users."""

    def __init__(self, host: str, port: int) -> None:
        self._environment = Environment(user_classes=[], events=locust.events)
        self._recorder: Recorder | None = None
        self._traffic: Traffic | None = None
        self._sink = io.BytesIO()
        self._sent = 0
        self._marks = 0
        self._runner: Any = self._environment.create_worker_runner(host, port)
        for name, act in ((ORDER, self._prepare), (MARK, self._mark), (FINISH, self._finish)):
            self._runner.register_message(name, lambda msg, act=act, **_: act(msg.data))
        self._runner.send_message(REPORT, {"is_listening": True})

    def serve(self) -> None:
        """Report until the process is ended."""
        while True:
            gevent.sleep(FLUSH_INTERVAL_S)
            if self._recorder is not None:
                self._report()

    def _prepare(self, data: dict[str, Any]) -> None:
        order = Order.model_validate_json(data["order"])
        self._sink = io.BytesIO()
        self._sent = 0
        self._marks = 0
        try:
            self._recorder = Recorder(self._sink)
            self._traffic = traffic_of(order, self._recorder)
        except Exception as error:
            traceback.print_exc()
            self._recorder = self._traffic = None
            self._runner.send_message(REPORT, {"is_ready": True, "failure": str(error)})
            return
        self._environment.user_classes = self._traffic.user_classes
        self._environment.host = order.url
        self._traffic.attach(self._environment)
        self._runner.send_message(REPORT, {"is_ready": True})

    def _mark(self, data: dict[str, Any]) -> None:
        self._marks = data["mark"]
        if data["stop"] and self._traffic is not None:
            self._traffic.stop_arrivals()
        self._report()

    def _finish(self, data: None) -> None:
        """After Locust has stopped the users: what is still in flight becomes rows, and all rows go out."""
        del data
        if self._traffic is not None and self._recorder is not None:
            self._traffic.close()
            self._recorder.end()
            self._report()
        self._traffic = self._recorder = None
        self._runner.send_message(REPORT, {"is_finished": True})
        gc.collect()

    def _report(self) -> None:
        recorder, traffic = self._recorder, self._traffic
        if recorder is None or traffic is None:
            return
        recorder.flush()
        stream = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        report = {
            "stream": stream,
            "rows": recorder.written,
            "errors": recorder.failures,
            "cpu_s": time.process_time(),
            "warm": traffic.is_warm(),
            "drained": traffic.is_drained(),
            "marks": self._marks,
        }
        self._runner.send_message(REPORT, report)


def main() -> None:
    """Serve a master until stdin closes."""
    holder = keep_stamping()
    worker = Worker(sys.argv[1], int(sys.argv[2]))
    gc.collect()
    gc.freeze()
    gevent.spawn(worker.serve)
    FileObject(sys.stdin.fileno(), "rb", closefd=False).read()
    holder.close()
    os._exit(0)


if __name__ == "__main__":
    main()
