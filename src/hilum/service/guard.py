"""What stands before every request and behind every answer: who may ask, under which names, and what browsers may do.

Any web page may send a form to a server on this machine, and a name that an attacker owns may be made to lead here: so
the Host header must be a name of ours, and a request of a foreign page is refused on loopback, too.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
import traceback
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hilum.service.films.pool import FilmBug
from hilum.service.metrics import Metrics
from hilum.service.page.policy import FRAMELESS, ISOLATED, PLAIN
from hilum.service.problems import Problem, problem_response
from hilum.service.settings import Settings

log = logging.getLogger("hilum.service")
WATCHED = ("/healthz", "/readyz")
NEEDS_TOKEN = ("/v1/", "/metrics", "/dicom-web/")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": PLAIN + FRAMELESS,
    **ISOLATED,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
FOREVER = "max-age=31536000"


class Guard:
    """The application with all of this around it."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, *, documented: bool = True) -> None:
        self.app = app
        self._answer = partial(problem_response, documented=documented)
        self._settings = settings
        self._metrics = metrics
        self._tokens = settings.tokens or ((("", settings.token),) if settings.token is not None else ())
        self._headers = HEADERS | ({"Strict-Transport-Security": FOREVER} if settings.cert is not None else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, which gets an answer whatever happens."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = scope["request_id"] = secrets.token_hex(8)
        began, status = time.perf_counter(), 0

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers["X-Request-ID"] = request_id
            await send(message)

        try:
            if (refusal := self._refusal(scope, Headers(scope=scope))) is not None:
                await self._answer(refusal, request_id)(scope, receive, send_guarded)
            else:
                await self.app(scope, receive, send_guarded)
        except Exception as error:
            _log_bug(error, request_id)
            if not status:
                problem = Problem("bug", "a fault of hilum's own; its log has more under this request's id")
                await self._answer(problem, request_id)(scope, receive, send_guarded)
        finally:
            self._count(scope, status, time.perf_counter() - began)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> Problem | None:
        """Why this request is not served, if it is not. Who asks, by their token, is `holder` of its scope."""
        path = scope["path"]
        if "content-length" in headers and "transfer-encoding" in headers:  # two servers may see two requests in it
            detail = "both Content-Length and Transfer-Encoding; send one of them"
            return Problem("malformed_request", detail, {"Connection": "close"})
        host = headers.get("host", "")
        if _name_of(host) not in self._settings.names:
            return Problem("unknown_host", "not a name of this service; start it with --name for each of its names")
        if _is_foreign(headers, host, scope["method"], path):
            return Problem("foreign_origin", "a page of another site asks; only this service's own page may")
        if self._tokens and path.startswith(NEEDS_TOKEN):
            shown = headers.get("authorization", "").encode("utf-8", "replace")
            # All are compared, whichever it is: how long it takes tells nothing.
            holders = [name for name, token in self._tokens if hmac.compare_digest(shown, f"Bearer {token}".encode())]
            if not holders:
                return Problem(
                    "token",
                    "show the service's token: Authorization: Bearer TOKEN",
                    {"WWW-Authenticate": "Bearer"},
                )
            scope["holder"] = holders[0]
        return None

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        """One line in the log and one more in the metrics, both without anything that the client wrote."""
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        level = logging.DEBUG if route in WATCHED else logging.INFO  # those who watch ask every second
        log.log(level, "%s %s %s %d %.0f ms", scope["request_id"], method, route, status, 1000 * seconds)


def _name_of(host: str) -> str:
    """The host's name without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_foreign(headers: Mapping[str, str], host: str, method: str, path: str) -> bool:
    """Whether a page of another site asks. To open one of ours by a link is no harm: that site cannot read it."""
    opened = (
        method in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and not path.startswith(NEEDS_TOKEN)
    )
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        return True
    return headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not opened


def _log_bug(error: Exception, request_id: str) -> None:
    """A bug must show its traceback, but the message of an exception may quote what it stumbled over."""
    if isinstance(error, FilmBug):  # of a process, which has taken care of it
        where = str(error)
    else:
        where = "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
    log.error("%s ended in a bug of hilum:\n%s", request_id, where)
