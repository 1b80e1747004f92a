"""Prove the generator on this machine: `bench.py calibrate` (METHOD §1–3).

It runs against a static server on another core, beside other generators and a packet capture of the same run.

    calibration.py    the steps in order; `calibrate()`
    static_server.py  nginx with a configuration of its own, or fixed_answer.py, a small program
    generation.py     our generator against it: one run and its rows
    peers.py          wrk and hey: how they are called and read
    cost.py           CPU per request and highest rate, in interleaved rounds
    capture.py        tcpdump beside a run; pcap.py reads what it wrote
    latency.py        reported service times beside the packets
    schedule.py       how well open load keeps its schedule
    memory.py         memory of idle virtual users
    document.py       what was found, as nouns (calibration.json)
    targets.py        what should be reached, and whether it is
    report_scale.py   what a report of many rows costs, on synthetic_result.py; a command of its own
    report.py         tables for the terminal and calibration.md
"""
