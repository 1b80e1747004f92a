"""Exceptions of a Locust file's own code, which Locust logs and continues after: counted, the first with its line.

Locust's event `user_error` tells those of tasks, on_start and wait_time, its log those that it catches itself
(listeners of events, on_stop of TaskSets), and the event loop those that end a greenlet (on_stop of users, shapes, the
script's own greenlets, and `sys.exit()`, which would end the generator). StopUser, RescheduleTask, InterruptTaskSet and
the like are no errors, but the first StopUser tells why users are gone.
"""

import inspect
import logging
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import gevent
import locust
from locust.env import Environment
from locust.exception import StopTest, StopUser
from locust.user.task import TaskSet
from locust.user.users import logger as user_logger

from loopwise.generator.script import innermost_line
from loopwise.model import ScriptFigures

MESSAGE_LENGTH = 200
CAUGHT_IN = str(Path(locust.__file__).parent)
"""Folder whose code logs what it catches. What a script catches and logs itself is no error."""


class ScriptWatch:
    """Counts the tasks that a Locust file executes, and the exceptions of its code.

    It lasts for the process's life: each run of a script has a process of its own.

    Args:
        path: of the Locust file, which is not loaded yet.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path.parent.resolve()
        self._figures: dict[str, Any] = {"errors": 0, "first_error": "", "first_error_at": "", "stopped_at": ""}
        self._first_ns = 0
        self._tasks = 0
        self._seen = f"_counted_by_{id(self)}"
        hub: Any = gevent.get_hub()
        self._report_greenlet: Any = hub.handle_error
        hub.handle_error = self._on_dead_greenlet
        for logger in (logging.getLogger(), user_logger):
            logger.addFilter(self._on_log)
        self._count_tasks()

    def join(self, environment: Environment) -> None:
        """Listen to the exceptions of an environment's users."""
        hook: Any = environment.events.user_error
        hook.add_listener(self._on_user_error)

    def figures(self) -> ScriptFigures:
        """The counts so far."""
        return ScriptFigures(tasks=self._tasks, first_error_ns=self._first_ns, **self._figures)

    def note(self, error: BaseException, user: Any = None) -> None:
        """Count an exception, once however many places it passes."""
        if hasattr(error, self._seen):
            return
        setattr(error, self._seen, True)
        self._figures["errors"] += 1
        if self._figures["errors"] == 1:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            place = self._place(error.__traceback__) or (self._definition(type(user)) if user is not None else "")
            self._figures |= {"first_error": text[:MESSAGE_LENGTH].removesuffix(": "), "first_error_at": place}
            self._first_ns = time.time_ns()

    def _count_tasks(self) -> None:
        watched: Any = TaskSet
        execute = watched.execute_next_task

        def counted(task_set: TaskSet) -> None:
            self._tasks += 1
            try:
                execute(task_set)
            except (StopUser, StopTest) as error:
                self._note_stop(error)
                raise

        watched.execute_next_task = counted

    def _note_stop(self, error: BaseException) -> None:
        if not self._figures["stopped_at"]:
            self._figures["stopped_at"] = self._place(error.__traceback__)

    def _on_user_error(self, *, user_instance: Any, exception: BaseException, tb: object = None, **_: Any) -> None:
        del tb
        self.note(exception, getattr(user_instance, "user", user_instance))

    def _on_log(self, record: logging.LogRecord) -> bool:
        """Filter of loggers: notes what Locust has caught and logs; lets every record pass."""
        error = sys.exc_info()[1]
        if record.levelno >= logging.ERROR and error is not None and record.pathname.startswith(CAUGHT_IN):
            if isinstance(error, StopUser | StopTest):
                self._note_stop(error)
            elif isinstance(error, Exception):
                self.note(error)
        return True

    def _on_dead_greenlet(self, context: object, kind: Any, value: Any, trace: Any) -> None:
        """The event loop's report of a greenlet that ended by an exception; one of the generator's is none of ours."""
        if isinstance(value, SystemExit) and context is not None:
            self.note(value)
            print(f"The script called sys.exit({value.code}); only this greenlet ends.", file=sys.stderr)
            return
        if isinstance(value, StopUser | StopTest):
            self._note_stop(value)
        elif isinstance(value, Exception) and self._place(value.__traceback__):
            self.note(value)
        self._report_greenlet(context, kind, value, trace)

    def _place(self, trace: TracebackType | None) -> str:
        """`journey.py:11`; nothing for an exception of other code."""
        found = innermost_line(trace, self._folder)
        return "" if found is None else "{}:{}".format(*found)

    def _definition(self, user_class: type) -> str:
        """`journey.py:7`: where a class of users begins, for an error that no line of the script raises."""
        try:
            path, line = Path(inspect.getfile(user_class)).resolve(), inspect.getsourcelines(user_class)[1]
        except (OSError, TypeError):  # made without a source
            return ""
        return f"{path.relative_to(self._folder)}:{line}" if path.is_relative_to(self._folder) else ""
