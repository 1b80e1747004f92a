"""Start a program that must not outlive the harness: `python launch.py PARENT_PID CORES PROGRAM ARGS…`.

Linux signals a child that asks for it (PR_SET_PDEATHSIG) when its parent ends, however that happens. The request
survives exec: this program makes it, then becomes the server. Standard library only: it starts in 10 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for SIGTERM at the parent's end, pin to the cores (`0,1`, or `-` for any), then become the program."""
    parent_pid, cores, program = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if cores != "-":
        os.sched_setaffinity(0, map(int, cores.split(",")))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent_pid:  # it ended before we asked
            sys.exit(1)
    try:
        os.execvp(program[0], program)
    except OSError as error:
        sys.exit(f"{program[0]}: cannot be started: {error.strerror}")


if __name__ == "__main__":
    main()
