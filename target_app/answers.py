"""Answers that are right, or raise: a load on a wrong answer must fail loudly."""

from typing import Any, cast

from target_app.workload import Answer


class WrongAnswerError(Exception):
    """A workload's own check failed, or what it asks for its answer gave none; the message is for the client."""


class ServiceMissingError(Exception):
    """A service that the workload needs was not started; the message is for the client."""


def insist(what: str, got: Any, expected: Any) -> None:
    """Refuses an answer that is not the expected one.

    Raises:
        WrongAnswerError: they differ.
    """
    if got != expected:
        raise WrongAnswerError(f"{what}: got {str(got)[:60]}, expected {str(expected)[:60]}")


def wire(text: bytes) -> Answer:
    """An answer that is JSON already, and goes onto the wire as it is.

    FastAPI sends a response that a route returns untouched, whatever the route says of its type.
    """
    from starlette.responses import Response  # noqa: PLC0415 - describing the workload must not load it

    return cast(Answer, Response(text, media_type="application/json"))
