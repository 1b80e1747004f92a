"""The load generator: Locust drives the users, one reactor carries their requests.

It is a process of its own (`python -m loopwise.generator`), the only place where gevent lives: Locust patches the
standard library when it is imported. The harness imports client, protocol, arrivals and error_kinds only.
CONTRIBUTING.md has a map of the modules.
"""
