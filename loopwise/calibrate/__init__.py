"""Calibration of the load generator on this machine (`bench.py calibrate`), and checks of the machine (`doctor`).

The generator runs against a static server on another core, beside other generators and a packet capture.

    calibration.py    the steps in order: `calibrate()`
    bench.py          the static server (nginx or fixed_answer.py), and runs of our generator against it
    cost.py           CPU per request and memory per user; peers.py runs wrk and hey
    accuracy.py       service times beside packets (packets.py: tcpdump), open load beside its schedule
    records.py        what calibration.json holds
    targets.py        figures that should be reached
    report.py         tables for the terminal and calibration.md
    doctor.py         is this machine fit to measure?
    probe_cost.py report_scale.py   commands of their own: what the probe costs, and a report of many rows
"""
