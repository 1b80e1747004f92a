"""Exceptions, and the exit status that each gives the command line.

LoopwiseError
├── UsageError            2  the suite or the arguments are wrong
│   ├── SuiteError           a suite file: names the file and the key
│   └── ResultError          a folder that is no result, or one this version can't read
├── RunError              3  a run could not be measured
│   ├── ServerError          the server died, hung, or could not import the app; quotes its last lines
│   ├── EndpointError        an endpoint gave an unexpected answer before the run
│   ├── DataError            a file that requests are made of is missing, broken or another than before
│   ├── ServiceError         a service behind a workload did not start, or died meanwhile; quotes its last lines
│   └── GeneratorError       the load generator died or did not answer
├── RefusedError          3  the system refuses what every run needs: disk full, read-only; names the remedy
└── InternalError        70  a fault of Loopwise itself; names the file with the traceback

BaseException, which code that goes on after any error (an import of matplotlib) lets pass
├── Interrupted         130  Ctrl-C, SIGTERM or SIGHUP; what was measured is kept
└── Unread              141  nobody reads what is printed any more (`| head`); what was measured is kept

Every message is one sentence a user can act on: the place, the value it got, what is allowed, and what to do next.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GATE_FAILED, FAILED_RUNS = 1, 3
"""Exit statuses of commands that end without an exception; 3 as a RunError's."""


class LoopwiseError(Exception):
    """Root of everything Loopwise raises on purpose; `exit_status` is what the command line returns."""

    exit_status = 70
    """Of a class that names none; 1 is taken by gates."""


class UsageError(LoopwiseError):
    """The arguments are wrong; nothing was started and nothing was written."""

    exit_status = 2


class SuiteError(UsageError):
    """A suite file is wrong; the message starts with `file: key`."""


class ResultError(UsageError):
    """A folder is not a result, is damaged, or was written by a newer version."""


class RunError(LoopwiseError):
    """One run could not be measured; the experiment goes on with the next."""

    exit_status = 3


class ServerError(RunError):
    """The server did not come up, or ended while it was measured."""


class EndpointError(RunError):
    """An endpoint gave an unexpected answer when it was tried before the load.

    Args:
        text: what happened.
        advice: what to do where nothing more is known.
    """

    def __init__(self, text: str, advice: str = "") -> None:
        super().__init__(f"{text}; {advice}" if advice else text)
        self.text = text


class DataError(RunError):
    """A feed, or a file that is sent, is missing, broken, or another than when the suite was read."""


class ServiceError(RunError):
    """A service that a workload needs did not come up, or ended while it was measured."""


class GeneratorError(RunError):
    """The load generator ended early or broke its protocol."""


class RefusedError(LoopwiseError):
    """The system refuses what every run needs, such as room on the disk; what was measured is kept."""

    exit_status = 3


class Interrupted(BaseException):
    """The user asked to stop."""

    exit_status = 130


class Unread(BaseException):
    """The reader of the output went away, as `head` does: the command ends without a word."""

    exit_status = 128 + signal.SIGPIPE
    """Of any program that ends by it."""


class InternalError(LoopwiseError):
    """An exception that nobody expected ended the command; names the file with its traceback."""

    exit_status = 70


@contextmanager
def writing(option: str, path: Path, *, is_file: bool = False) -> Iterator[None]:
    """Turn a failure to write what an option names into a UsageError.

    Raises:
        UsageError: the system refuses the write.
    """
    try:
        yield
    except OSError as error:
        remedy = "name a file in a folder that exists" if is_file else "name another folder"
        raise UsageError(f"{option}: {path} can't be written ({error.strerror}); {remedy}") from None
