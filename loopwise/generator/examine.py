"""Try the Locust files and load shapes of a suite before it is measured: loaded, but without any users."""

import socket

from requests.exceptions import ConnectionError as RequestsConnectionError

from loopwise.errors import GeneratorError
from loopwise.generator.locustfile import forbid_other_hosts, prepare_script
from loopwise.generator.protocol import Order
from loopwise.generator.shape import DeclaredShape

UNREACHED = (ConnectionError, RequestsConnectionError, socket.gaierror, TimeoutError)
"""Raised by a file that asks its target while it is loaded: the server may be started for the run only."""


def examine(order: Order) -> None:
    """Load the Locust file of an order and apply its options, or try its shape, in a process that ends afterwards.

    Raises:
        GeneratorError: the file, an option or the shape can't be used.
    """
    if order.load.shape is not None:
        try:
            DeclaredShape(order.load.shape).try_once()
        except GeneratorError as error:
            raise GeneratorError(f"load.shape: {error}") from error
        return
    forbid_other_hosts(order.url)
    try:
        prepare_script(order)
    except GeneratorError as error:
        if not isinstance(error.__cause__, UNREACHED):
            raise
