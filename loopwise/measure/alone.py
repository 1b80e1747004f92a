"""Ask the endpoints of a case alone, before the load: how long each takes while nobody else waits."""

import statistics
import time

from loopwise.errors import EndpointError
from loopwise.model import Case
from loopwise.servers.exchange import Answer
from loopwise.servers.lifecycle import check_endpoint

REQUESTS = 20
"""The median of few is off by percents where neighbours use the machine."""
BUDGET_S = 0.5
"""For each endpoint: a slow one is asked less often, but once at least."""


def ask_alone(case: Case, url: str) -> dict[str, float]:
    """Ask each endpoint of a case a few times, one request at a time.

    Locust files, journeys and feeds are left out: a request made up for them is none that the load makes.

    Returns:
        Median time in ms by endpoint, with the time to connect; empty where one of them has none.
    """
    if case.scenario is not None or any(each.step is not None or each.feed for each in case.endpoints):
        return {}
    found: dict[str, float] = {}
    for endpoint in case.endpoints:
        answers: list[Answer] = []
        end_s = time.monotonic() + BUDGET_S
        try:
            while len(answers) < REQUESTS and (not answers or time.monotonic() < end_s):
                check_endpoint(endpoint, {}, url=url, timeout_s=case.load.timeout_s, on_answer=answers.append)
        except EndpointError:
            return {}  # What the server does under load says so better, as an error or a silence.
        found[endpoint.name] = round(statistics.median(each.duration_s for each in answers) * 1e3, 3)
    return found
