"""`python -m loopwise.cli`: the same as bench.py and `loopwise`."""

from loopwise.cli import main

if __name__ == "__main__":
    main()
