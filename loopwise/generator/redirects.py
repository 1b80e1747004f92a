"""Redirects of a script's request, followed by the rules of geventhttpclient, which FastHttpUser uses."""

from typing import Any

from geventhttpclient.useragent import ConnectionError as ClientError
from geventhttpclient.useragent import RetriesExceeded
from locust.contrib.fasthttp import FastRequest, LocustUserAgent
from locust.exception import LocustError

from loopwise.generator.response import Sent, StampedResponse

REDIRECTS = LocustUserAgent.redirect_response_codes
REFUSALS = (ClientError, LocustError, ValueError)
"""Why a redirect is not followed: there were too many, it leads to another host or scheme, or its URL is none."""
REDIRECTED = "(redirected)"
"""Added to a name that the script gave, for the requests that follow its redirects."""


class Redirects:
    """The requests that follow from the redirects of one call.

    301, 302 and 303 are followed by GET without the body, 307 and 308 by the same request. Authorization is not sent to
    another origin.

    Args:
        sent: the first request.
        limit: how many redirects are followed.
    """

    def __init__(self, sent: Sent, limit: int, host_header: str) -> None:
        self._request = sent.as_request()
        self._first_url = sent.url
        self._limit = limit
        self._left = limit
        if self._request.headers.get("Host") == host_header:  # the client's own, and not the script's
            self._request.headers.discard("Host")

    def location_of(self, response: StampedResponse) -> str | None:
        """Where an answer redirects to; None if it doesn't."""
        location = response.headers.get("Location") if response.status_code in REDIRECTS and response.headers else None
        return location if isinstance(location, str) and location else None

    def next(self, status: int, location: str) -> FastRequest:
        """The request that follows. Raises one of REFUSALS."""
        if not self._left:
            raise RetriesExceeded(self._first_url, f"Redirection limit reached ({self._limit})")
        self._left -= 1
        self._request.redirect(status, location)
        return self._request

    def headers(self) -> dict[str, Any]:
        """Headers of the request that follows; cookies and the body's length are to be added."""
        self._request.headers.discard("Content-Length")
        return self._request.headers.compatible_dict()
