"""Sequences measurements: experiments, runs, slices, duels."""
