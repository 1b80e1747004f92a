"""Cookies of a script's user, by the rules of the standard library's http.cookiejar."""

from collections.abc import Callable, Mapping
from http.cookiejar import Cookie, CookieJar
from typing import Any

from geventhttpclient.header import Headers
from locust.contrib.fasthttp import FastRequest
from requests.cookies import RequestsCookieJar, merge_cookies


class Cookies(RequestsCookieJar):
    """A cookie jar that can be used like a dict, too, and tells when requests need other cookies than before.

    Args:
        on_change: called when a cookie comes, goes, or gets another value.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.expires_s = float("inf")
        """When the next cookie expires; seconds since the epoch."""
        self.is_for_all_paths = True
        """Every path needs the same cookies."""
        self._on_change = on_change
        super().__init__()

    def drop_expired(self) -> None:
        """Remove cookies whose time is over."""
        self.clear_expired_cookies()
        self._changed()

    def header_with(self, url: str, cookies: Any) -> str:
        """The Cookie header of a request that carries further cookies, which are not kept."""
        jar = RequestsCookieJar()
        for more in (self, cookies):
            merge_cookies(jar, more)
        return cookie_header(jar, url)

    def set_cookie(self, cookie: Cookie, *args: Any, **kwargs: Any) -> None:
        """Keep a cookie as it is."""
        del args, kwargs
        kept = vars(self)["_cookies"]  # by domain, path and name: the jar has no other way to one of them
        known: Cookie | None = kept.get(cookie.domain, {}).get(cookie.path, {}).get(cookie.name)
        CookieJar.set_cookie(self, cookie)
        if cookie.expires is not None:
            self.expires_s = min(self.expires_s, cookie.expires)
        if known is None or (known.value, known.secure, known.port) != (cookie.value, cookie.secure, cookie.port):
            self._changed()

    def clear(self, domain: str | None = None, path: str | None = None, name: str | None = None) -> None:
        """Remove cookies. Raises KeyError: there is none."""
        super().clear(domain, path, name)
        self._changed()

    def _changed(self) -> None:
        self.expires_s = min((each.expires for each in self if each.expires is not None), default=float("inf"))
        self.is_for_all_paths = all(each.path == "/" for each in self)
        self._on_change()

    def replace(self, cookies: Mapping[str, str] | CookieJar) -> None:
        """Keep these cookies in place of what there is."""
        if cookies is not self:
            self.clear()
            self.update(cookies)


def cookie_header(jar: CookieJar, url: str) -> str:
    """The Cookie header that a jar has for a request; empty if there is none."""
    if not any(True for _ in jar):
        return ""
    request = FastRequest(url, headers=Headers())
    jar.add_cookie_header(request)
    return str(request.headers.get("Cookie") or "")
