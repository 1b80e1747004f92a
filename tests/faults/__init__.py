"""Faults done to the real command line, and what must hold afterwards.

`python -m tests.faults --minutes 30 --out docs/reliability.md` does as many as it can and writes the table of them;
tests/test_faults.py does one of each kind.
"""
