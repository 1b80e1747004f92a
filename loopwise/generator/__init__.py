"""The load generator: Locust drives the users, one reactor carries their requests.

It is a process of its own (`python -m loopwise.generator`), the only place where gevent lives: Locust patches the
standard library when it is imported. The harness imports client, protocol and arrivals only.

    client         the harness's end: starts the process, sends orders, passes on events
    protocol       orders and events                    __main__       the process
    session        one run: warm-up, window, drain      workers        the same with several processes
    traffic        the users of a run, and the canary   users          virtual users and schedules that cost no greenlet
    locustfile     traffic of a Locust file             pairs          traffic for two servers: duel and slices
    stamped_user   scripted users on the reactor        stamped_client what they send requests with
    exchange       a request that a script awaits       carrier        what a run gives its scripted users
    response       an answer as a script sees it        streams        an answer that is read while it comes
    content        bodies and headers of a script       cookies        its cookies
    redirects      requests that follow redirects       failures       errors as FastHttpUser has them
    hosts          where scripts may send
    request        requests of declared endpoints       arrivals       due times of open load
    reactor        one epoll loop over all connections  connection     request bytes out, answers in
    tls            encryption                           error_kinds    kinds of request errors
    recorder       a row per request                    livestats      Locust's statistics, from the rows
"""
