"""Verification of answers: a wrong one raises, so that a load on it fails loudly."""

from typing import Any, cast

from target_app.workload import Answer


class WrongAnswerError(Exception):
    """An answer failed its verification, or its source gave none; the message is for the client."""


class ServiceMissingError(Exception):
    """A service that the workload needs is not running; the message is for the client."""


def verify(what: str, got: Any, expected: Any) -> None:
    """Raise unless a value is the expected one.

    Raises:
        WrongAnswerError: they differ.
    """
    if got != expected:
        raise WrongAnswerError(f"{what}: got {str(got)[:60]}, expected {str(expected)[:60]}")


def json_response(text: bytes) -> Answer:
    """Wrap text that is JSON already, to be sent as it is.

    FastAPI sends a response that a route returns untouched, whatever the route says of its type.
    """
    from starlette.responses import Response  # describing the workload must not load it

    return cast(Answer, Response(text, media_type="application/json"))
