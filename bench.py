"""Start the command line from a checkout: `python bench.py run quick`."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `main` listens, Ctrl-C ends imports without a traceback
    from loopwise.cli import main

    main()
