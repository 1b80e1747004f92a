"""The load generator: Locust drives, one reactor carries the bytes.

A process of its own (`python -m loopwise.generator`), the only place where gevent lives: importing Locust patches
the standard library, so nothing outside this package imports it, and the harness talks to it over pipes (driver.py).

    __main__.py    the process: takes orders, answers with events        order.py  what is asked and told
    session.py     one run: warm-up, window, drain; Locust's runner in this process
    distributed.py, worker.py   the same with several processes: Locust's master and workers
    traffic.py     what a run's requests come from: declared endpoints, or a Locust file
    declared.py    users (closed load) and schedules (open load) that cost no greenlet
    arrivals.py    when open load's requests are due: pure functions of the seed
    scripted.py    a user's own Locust file, recorded through Locust's request event
    stamped.py, answers.py      StampedUser: scripted users on the reactor, and what they see
    reactor.py     one epoll loop over all connections
    http.py, request.py, tls.py   one connection: request bytes out, answers in
    recorder.py    a row per request, written four times a second        livestats.py  Locust's statistics from them
"""
