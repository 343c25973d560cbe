"""Who may ask: tokens, and the rules that keep pages of other sites from using a browser to ask for them.

A browser sends requests to this daemon on behalf of any page that it shows; loopback is no protection. Three things
give such a request away: Sec-Fetch-Site, an Origin other than the Host, and a Host that is a name of somebody else's
which was made to lead here (DNS rebinding). Programs that are no browsers send none of them.
"""

import ipaddress
import math
import socket
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from mqfast.commands import ERRORS
from mqfast.http.errors import Refusal, invalid

_CHALLENGE = 'Bearer realm="mqfast"'
_CODES = {0: ""} | {error.number: error.code for error in ERRORS}
_HOSTS_KEPT = 100
_TYPES = {"application/json", "application/x-www-form-urlencoded"}  # the latter is what curl -d says by itself


class Guard(Protocol):
    """Of Reactors: wrong tokens over HTTP and over connections count together."""

    def must_wait_ms(self, peer: str) -> int: ...

    def wrong_token(self, peer: str) -> None: ...


class Tokens:
    """Asks the engine whether a request may be: it must bring a token as ``Authorization: Bearer TOKEN`` where one is
    needed. may: Engine.may. needed: whether there are tokens at all. guard: knows who has tried wrong ones."""

    def __init__(self, may: Callable[[bytes, str], int], needed: bool, guard: Guard) -> None:
        self._may = may
        self._needed = needed
        self._guard = guard

    def __bool__(self) -> bool:
        return self._needed

    def check(self, headers: Mapping[str, str], command: str = "PING") -> bytes | None:
        """The token; None where nobody needs one. headers: the request's, as in a WSGI environment. command: what it
        must open, for all queues. Raises Refusal: auth_required without a token, auth_failed with a wrong one,
        rate_limited where too many were wrong, forbidden for what it does not open. Its time tells nothing."""
        if not self._needed:
            return None
        scheme, _, given = headers.get("HTTP_AUTHORIZATION", "").partition(" ")
        given = given.strip(" ")
        if scheme.lower() != "bearer" or not given:
            raise Refusal("auth_required", headers={"WWW-Authenticate": _CHALLENGE})
        token = given.encode("latin-1")  # as the header's bytes were
        peer = headers.get("REMOTE_ADDR", "")
        if wait_ms := self._guard.must_wait_ms(peer):
            why = "Rate limited: too many wrong tokens came from your address; wait a minute"
            raise Refusal("rate_limited", why, headers={"Retry-After": str(math.ceil(wait_ms / 1000))})
        code = _CODES[-self._may(token, command)]
        if code == "auth_failed":
            self._guard.wrong_token(peer)
            raise Refusal(code, headers={"WWW-Authenticate": _CHALLENGE + ', error="invalid_token"'})
        if code:
            raise Refusal(code)
        return token


class Sites:
    """Which pages in a browser may ask.

    allowed: origins of other sites that may (CORS_ORIGIN; ``*`` is any). names: hosts that requests may be meant for,
    besides addresses, localhost, and names that nobody else can own; None: any.
    """

    def __init__(self, allowed: Collection[str], names: Collection[str] | None) -> None:
        self._allowed = frozenset(allowed)
        self._names = None if names is None else {name.lower() for name in (*names, socket.gethostname())}
        self._hosts: set[str] = set()  # found to be ours before, so that they need not be taken apart again

    def cors(self, origin: str | None) -> bool:
        """Whether the page of this origin is told that it may read the answer."""
        return bool(origin and self._allowed and ("*" in self._allowed or origin.lower() in self._allowed))

    def check(self, headers: Mapping[str, str]) -> None:
        """headers: the request's, as in a WSGI environment. Raises Refusal."""
        host = headers.get("HTTP_HOST")
        if host is None:
            if headers.get("SERVER_PROTOCOL") == "HTTP/1.1":
                raise invalid("the Host header is missing")
        elif self._names is not None and host not in self._hosts:
            if not _is_ours(host, self._names):
                raise invalid(f"this server does not serve the host {host[:255]} (HTTP_NAMES says which it does)", 403)
            if len(self._hosts) < _HOSTS_KEPT:
                self._hosts.add(host)
        origin = headers.get("HTTP_ORIGIN")
        site = headers.get("HTTP_SEC_FETCH_SITE")
        if (origin is None and site is None) or self.cors(origin):
            return
        if site is not None and site.lower() not in ("none", "same-origin"):
            raise invalid("requests of pages of other sites are refused (CORS_ORIGIN can allow them)", 403)
        if origin is not None and origin.partition("://")[2].lower() != (host or "").lower():
            raise invalid(f"requests of pages of {origin[:255]} are refused (CORS_ORIGIN can allow them)", 403)


def check_body_type(headers: Mapping[str, str]) -> None:
    """A body is JSON and says so; without a browser, also where it says nothing or what curl -d does.

    A page may send a form's types anywhere without asking first: none of them is taken from a browser. Raises Refusal.
    """
    kind = headers.get("CONTENT_TYPE", "")
    if kind == "application/json":
        return
    kind = kind.partition(";")[0].strip().lower()
    if kind == "application/json":
        return
    browser = "HTTP_ORIGIN" in headers or "HTTP_SEC_FETCH_SITE" in headers
    if browser or (kind and kind not in _TYPES):
        raise invalid("the Content-Type of a body is application/json", 415)


def _is_ours(host: str, names: Collection[str]) -> bool:
    """An address, or a name that nobody can make lead here: the public DNS has none without a dot."""
    name = _without_port(host).lower().rstrip(".")
    if _is_address(name):
        return True
    return bool(name) and name[0] != "[" and ("." not in name or name.endswith(".localhost") or name in names)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
