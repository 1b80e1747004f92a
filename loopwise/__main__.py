"""Where the command line begins: bench.py, `loopwise` and `python -m loopwise`.

Its own handling of signals (interrupts.py) comes with imports that take a moment: nothing but what answers Ctrl-C
before that is imported here.
"""

import os

INTERRUPTED = 130
"""As Interrupted.exit_status (errors.py)."""


def main() -> None:
    """Run the command line; until it listens itself, a request to stop ends the process at once, with a line."""
    try:
        import signal

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: _end(signal.Signals(number).name))
    except KeyboardInterrupt:
        _end("SIGINT")
    from loopwise.cli import main as command_line

    command_line()


def _end(name: str) -> None:
    try:
        os.write(2, f"interrupted by {name}\n".encode())
    finally:
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
