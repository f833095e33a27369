"""Who may ask: the Host named, the user, and the headers every answer carries."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from forgediag.http import SAFE, Handler, Request, Response
from forgediag.http.login import BusyError, Logins
from forgediag.web_config import WebConfig

PLAIN = {"content-type": "text/plain; charset=utf-8"}
KEPT = 4
"""Answers kept with their headers, so that the same answer is the same object again."""

HOSTS = 256
"""Verdicts on Host headers kept."""


class Hosts:
    """Which Host headers are answered: addresses, localhost, the host listened on, and the names configured.

    A web page can have a browser ask a name of its own that resolves to this machine (DNS rebinding); the Host header
    then has that name in it. An address cannot be made to point elsewhere.
    """

    def __init__(self, listen: str, allowed: Collection[str]) -> None:
        """Allow the host listened on and `allowed`; "*" among them allows every name."""
        self._names = {"localhost", listen.lower(), *(name.lower() for name in allowed)} - {""}
        self._verdicts: dict[str, bool] = {}

    def allow(self, header: str) -> bool:
        """Whether a request with this Host header is answered; HTTP/1.0, which no browser speaks, needs none."""
        verdict = self._verdicts.get(header)
        if verdict is None:
            if len(self._verdicts) >= HOSTS:
                self._verdicts.clear()
            verdict = self._verdicts[header] = self._judge(header)
        return verdict

    def _judge(self, header: str) -> bool:
        if not header or "*" in self._names:
            return True
        try:
            host = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        return host.rstrip(".") in self._names or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class Guard:
    """A handler in front of another: refuses who may not ask, and dresses every answer with its headers."""

    def __init__(self, handler: Handler, config: Callable[[], WebConfig], hosts: Hosts) -> None:
        """Guard `handler` as `config` says at the time of each request."""
        self._handler, self._config, self._hosts = handler, config, hosts
        self._logins = Logins()
        self._dressed: dict[tuple[int, int], tuple[Response, WebConfig, Response]] = {}

    def handle(self, request: Request) -> Response | Awaitable[Response]:
        """One answer."""
        web = self._config()
        if not self._hosts.allow(host := request.headers.get("host", "")):
            text = f"the host {host[:100]!r} is not known here; if it is meant to be, add it to allowed_hosts\n"
            return _dressed(Response(421, PLAIN, text.encode()), web)
        if web.users:
            known = self._logins.known(web.users, request.headers.get("authorization", ""))
            if known is None:
                return self._after_login(request, web)
            if not known:
                return _dressed(UNAUTHORIZED, web)
        answer = self._handler(request)
        return self._dress(answer, web) if isinstance(answer, Response) else self._later(answer, web)

    async def _after_login(self, request: Request, web: WebConfig) -> Response:
        try:
            good = await self._logins.verdict(web.users, request.headers.get("authorization", ""))
        except BusyError:
            return _dressed(BUSY, web)
        if not good:
            return _dressed(UNAUTHORIZED, web)
        answer = self._handler(request)
        return _dressed(answer if isinstance(answer, Response) else await answer, web)

    @staticmethod
    async def _later(answer: Awaitable[Response], web: WebConfig) -> Response:
        return _dressed(await answer, web)

    def _dress(self, response: Response, web: WebConfig) -> Response:
        """The same object for the same answer: the connection then sends the same bytes again."""
        key = (id(response), id(web))
        kept = self._dressed.get(key)
        if kept is not None:  # it holds both, so neither id can have become another's
            return kept[2]
        if len(self._dressed) >= KEPT:
            self._dressed.pop(next(iter(self._dressed)))
        dressed = _dressed(response, web)
        self._dressed[key] = response, web, dressed
        return dressed


def _dressed(response: Response, web: WebConfig) -> Response:
    return Response(response.status, {**SAFE, **response.headers, **web.headers}, response.body)


UNAUTHORIZED = Response(
    401, {**PLAIN, "www-authenticate": 'Basic realm="forgediag", charset="UTF-8"'}, b"a user and password are needed\n"
)
BUSY = Response(503, {**PLAIN, "retry-after": "1"}, b"too many logins are being checked\n")
