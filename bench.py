"""Start the command line from a checkout: `python bench.py run quick`."""

from loopwise.__main__ import main

if __name__ == "__main__":
    main()
