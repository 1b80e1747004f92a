"""Selftest of the method on this machine: false alarms on equal cases, and power on injected differences.

trials.py    the pairs that are measured, by blocks and then slices, and by duels
rates.py     verdicts to rates with intervals, and their tables
"""
