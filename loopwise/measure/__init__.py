"""Measures suites and duels: the only package that starts servers and loads them to fill a result.

experiment.py   decides what is measured next: runs of the plan, repetitions, further blocks, then slices
plan.py         which runs, in which order, for how long
run.py          one run
pairs.py        one round of a pair: two servers side by side
slices.py       pairs that blocks left undecided, round after round
duel.py         a duel, round after round; sides.py: apps, revisions and cases as its sides
testbed.py      what runs and rounds share: start servers, put a load on them, record it
prestart.py     starts servers of coming runs before their turn
"""
