"""Shows the method at work on this machine: false alarms on equal cases, and the power to find injected differences.

suites.py    which equal and unequal pairs are measured
trials.py    measures them: blocks, then slices; and duels
tally.py     pure: verdicts to rates with their intervals
"""
