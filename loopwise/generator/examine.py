"""Try the Locust files of a suite before it is measured: loaded, with their options, but without any users."""

import socket

from requests.exceptions import ConnectionError as RequestsConnectionError

from loopwise.errors import GeneratorError
from loopwise.generator.locustfile import forbid_other_hosts, prepare_script
from loopwise.generator.protocol import Order

UNREACHED = (ConnectionError, RequestsConnectionError, socket.gaierror, TimeoutError)
"""Raised by a file that asks its target while it is loaded: the server may be started for the run only."""


def examine(order: Order) -> None:
    """Load the Locust file of an order and apply its options, in a process that ends afterwards.

    Raises:
        GeneratorError: the file or an option can't be used.
    """
    forbid_other_hosts(order.url)
    try:
        prepare_script(order)
    except GeneratorError as error:
        if not isinstance(error.__cause__, UNREACHED):
            raise
