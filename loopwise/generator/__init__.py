"""The load generator: Locust drives, one reactor carries the bytes.

A process of its own (`python -m loopwise.generator`), the only place where gevent lives: importing Locust patches
the standard library, so nothing outside this package imports it, and the harness talks to it over pipes (driver.py).

    __main__.py   the process: takes orders, answers with events
    session.py    one run: Locust's runner, warm-up, window, drain
    declared.py   endpoints with weights: closed load (users) and open load (arrivals), on the reactor
    scripted.py   a user's own Locust file, its requests recorded through Locust's request event
    reactor.py    one epoll loop over all connections
    http.py       request bytes out, answers in: one connection
    arrivals.py   when open load's requests are due: pure functions of the seed
    recorder.py   a row per request, flushed twice a second
    order.py      what the harness asks for, and what it is told
"""
