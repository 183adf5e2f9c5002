"""The one door: every route goes through here, so that none can forget to ask who comes in."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console import body as bodies
from console import pages, security
from console.accounts import Accounts
from console.call import NOBODY, Call, Endpoint, Kind, Who, refuse
from console.i18n import choose
from console.pages_account import LANGUAGE_COOKIE, SESSION_COOKIE
from console.ports import Ports
from console.sentences import tell
from console.settings import IntakeSettings
from model.account import Role
from model.errors import InputError, NotAllowed, StoreError
from model.reason import Reason, because

log = logging.getLogger(__name__)


RETRY_AFTER_S = "2"
STRANGER_BYTES_MAX = 512 * 1024
"""Of a body, also decoded, that is read before it is known who sent it."""


class Gate:
    """Knows who asks, and lets a handler run only for those whose role suffices."""

    def __init__(self, ports: Ports, accounts: Accounts) -> None:
        self.ports = ports
        self.accounts = accounts
        self.counters = ports.counters
        self._secrets = ports.intake_secrets or read_secrets(ports.intake)
        self._seen_signatures: dict[str, int] = {}

    def wrap(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """The ASGI handler of an endpoint; its attribute `endpoint` tells what was declared."""

        async def answered(request: Request) -> Response:
            try:
                return await self._handle(endpoint, request)
            except bodies.BodyRefused as refused:
                self.counters.add("tocsin_console_refused_body_total")
                return refuse(refused.status, str(refused))
            except ClientDisconnect:  # in the middle of a body: nobody is there to be answered
                self.counters.add("tocsin_console_refused_body_total")
                return Response(status_code=400)
            except StoreError:
                # Counted; said once by the loop: a line for each push would fill what is left of the disk.
                log.debug("the store does not take this request", exc_info=True)
                self.counters.add("tocsin_console_refused_store_total")
                problem = "the store cannot take this now; nothing was accepted, try again"
                return refuse(503, problem, retry_after=RETRY_AFTER_S)

        async def handle(request: Request) -> Response:
            response = await answered(request)
            refused = endpoint.reword is not None and response.status_code >= 400
            return endpoint.reword(request, response) if refused and endpoint.reword else response

        handle.endpoint = endpoint  # type: ignore[attr-defined]
        return handle

    async def _handle(self, endpoint: Endpoint, request: Request) -> Response:
        now_ms = self.ports.clock.now_ms()
        self.counters.add("tocsin_console_requests_total")
        public = endpoint.role is None and endpoint.kind is Kind.API
        who = NOBODY if public else await self._who(request, now_ms)
        call = Call(request, self.ports, who, now_ms, self._language(request, who))
        if endpoint.method not in ("GET", "HEAD") and not self._same_site(request):
            return self._refusal(
                call, endpoint, 403, because("this request comes from another site")
            )
        signed = self._signed(endpoint, request)
        if not who.may(endpoint.role) and not signed and endpoint.key_of is None:
            return self._not_allowed(call, endpoint)
        signature = ""
        if endpoint.method in ("POST", "PUT"):
            data = await self._body(endpoint, request, stranger=not who.may(endpoint.role))
            if endpoint.key_of is not None and not signed:
                who = await self._by_body(endpoint.key_of(data), who, now_ms)
                if not who.may(endpoint.role):
                    return self._not_allowed(Call(request, self.ports, who, now_ms), endpoint)
            if not who.may(endpoint.role):
                checked = self._check_signature(request, data, now_ms)
                if isinstance(checked, Response):
                    return checked
                who, signature = checked, request.headers["tocsin-signature"]
            call = Call(request, self.ports, who, now_ms, call.language, data)
        if endpoint.kind is Kind.FORM and not self._form_is_ours(call):
            return self._refusal(
                call,
                endpoint,
                403,
                because("this form is out of date: go back, reload, and try again"),
            )
        accepted = False
        try:
            response = await self._run(endpoint, call)
            accepted = response.status_code < 300
        finally:
            if signature and not accepted:  # the sender will try the same push again
                self._seen_signatures.pop(f"{who.name} {signature}", None)
        return response

    async def _run(self, endpoint: Endpoint, call: Call) -> Response:
        try:
            if inspect.iscoroutinefunction(endpoint.handler):
                return cast(Response, await endpoint.handler(call))
            return cast(Response, await run_in_threadpool(endpoint.handler, call))
        except InputError as error:
            return self._refusal(call, endpoint, 400, because("{problem}", problem=error))
        except NotAllowed as error:
            return self._refusal(call, endpoint, 403, because("{problem}", problem=error))
        except LookupError:
            return self._refusal(call, endpoint, 404, because("there is nothing here by that name"))

    # --- who asks -----------------------------------------------------------------------------

    async def _who(self, request: Request, now_ms: int) -> Who:
        token = security.credential(request.headers.get("authorization", ""))
        if token:
            if known := self.accounts.cached_token(token, now_ms):
                return known
            return await run_in_threadpool(self.accounts.by_token, token, now_ms)
        session = request.cookies.get(SESSION_COOKIE, "")
        if session:
            who = await run_in_threadpool(self.accounts.by_session, session, now_ms)
            if who is not NOBODY:
                return who
        if self.ports.settings.open_loopback and is_local(request):
            if not await self._has_credentials(now_ms):
                return self.accounts.local
        return NOBODY

    async def _has_credentials(self, now_ms: int) -> bool:
        known = self.accounts.known_credentials(now_ms)
        return (
            known
            if known is not None
            else await run_in_threadpool(self.accounts.has_credentials, now_ms)
        )

    def _language(self, request: Request, who: Who) -> str:
        return choose(
            who.language,
            request.cookies.get(LANGUAGE_COOKIE, ""),
            self.ports.settings.language,
            accept=request.headers.get("accept-language", ""),
        )

    def _same_site(self, request: Request) -> bool:
        headers = request.headers
        return security.same_site(
            headers.get("origin", ""),
            headers.get("sec-fetch-site", ""),
            headers.get("host", ""),
            self.ports.settings.external_url,
        )

    def _form_is_ours(self, call: Call) -> bool:
        if call.who is NOBODY:  # the sign-in: there is no session to tie it to yet
            return True
        try:
            return self.accounts.form_fits(call.who, call.form().get("csrf", ""))
        except InputError:  # bytes that are no form at all
            return False

    # --- pushes -------------------------------------------------------------------------------

    async def _by_body(self, key: str, who: Who, now_ms: int) -> Who:
        """Whose token the key in a body is; who asks already, where it is none."""
        if not key:
            return who
        found = self.accounts.cached_token(key, now_ms)
        if found is None:
            found = await run_in_threadpool(self.accounts.by_token, key, now_ms)
        return who if found is NOBODY else found

    async def _body(self, endpoint: Endpoint, request: Request, *, stranger: bool) -> bytes:
        intake, form_max = self.ports.intake, self.ports.settings.form_bytes_max
        if endpoint.kind is Kind.PUSH:
            most, decoded = intake.body_bytes_max, intake.decoded_bytes_max
            if stranger and endpoint.key_of is not None:
                most, decoded = min(most, STRANGER_BYTES_MAX), min(decoded, STRANGER_BYTES_MAX)
        else:
            most = decoded = form_max
        if endpoint.encoded:
            return await bodies.read_as_sent(request, bytes_max=most)
        return await bodies.read(request, bytes_max=most, decoded_bytes_max=decoded)

    def _signed(self, endpoint: Endpoint, request: Request) -> bool:
        """Whether a signature is to be checked: a stranger's body is not even read."""
        source = request.headers.get("tocsin-source", "")
        return (
            endpoint.kind is Kind.PUSH
            and "tocsin-signature" in request.headers
            and source in self._secrets
        )

    def _check_signature(self, request: Request, data: bytes, now_ms: int) -> Who | Response:
        header = request.headers.get("tocsin-signature", "")
        source = request.headers.get("tocsin-source", "")
        secrets = self._secrets.get(source, ())
        window_ms = self.ports.intake.signature_window_ms
        problem = security.check_signature(
            header, data, secrets or (b"",), now_ms=now_ms, window_ms=window_ms
        )
        if problem is not None or not secrets:
            self.counters.add("tocsin_console_refused_signature_total")
            problem = problem or because("the signature does not fit the body")
            return refuse(401, problem.text(), www_authenticate="Tocsin-Signature")
        if not self._first_time(f"{source} {header}", now_ms, window_ms):
            self.counters.add("tocsin_intake_duplicates_total")
            return Response(status_code=200, headers={"tocsin-duplicate": "true"})
        return Who(source, Role.RESPONDER, "signature")

    def _first_time(self, signature: str, now_ms: int, window_ms: int) -> bool:
        seen = self._seen_signatures
        while seen and next(iter(seen.values())) < now_ms - 2 * window_ms:
            del seen[next(iter(seen))]
        if signature in seen:
            return False
        if len(seen) >= self.ports.intake.signatures_max:
            del seen[next(iter(seen))]
        seen[signature] = now_ms
        return True

    # --- refusals -----------------------------------------------------------------------------

    def _not_allowed(self, call: Call, endpoint: Endpoint) -> Response:
        self.counters.add("tocsin_console_refused_role_total")
        if call.who is not NOBODY:
            needed = endpoint.role.value if endpoint.role else ""
            return self._refusal(
                call, endpoint, 403, because("this needs the role {role}", role=needed)
            )
        if endpoint.kind in (Kind.PAGE, Kind.FORM):
            target = call.here if endpoint.method == "GET" else "/"
            return RedirectResponse(f"/sign-in?next={quote(target)}", 303)
        return refuse(401, "a token is needed", www_authenticate='Bearer realm="tocsin"')

    def _refusal(self, call: Call, endpoint: Endpoint, status: int, reason: Reason) -> Response:
        if endpoint.kind in (Kind.PAGE, Kind.FORM):
            return pages.problem(call, status, reason)
        if endpoint.kind is Kind.PUSH:  # a program's log: in the language of the protocols
            return refuse(status, reason.text())
        return refuse(status, tell(reason, call.language))


def read_secrets(intake: IntakeSettings) -> dict[str, tuple[bytes, ...]]:
    """The secrets of the sources that sign, from their files.

    Raises
    ------
    InputError
        If a file cannot be read or is empty: an empty secret would let anybody in.
    """
    found: dict[str, tuple[bytes, ...]] = {}
    for source in intake.signed:
        paths = [path for path in (source.secret_file, source.previous_secret_file) if path]
        try:
            secrets = tuple(Path(path).read_bytes().strip() for path in paths)
        except OSError as error:
            raise InputError(
                f"intake.signed {source.name}: {error.filename}: {error.strerror}"
            ) from None
        if not secrets or not all(secrets):
            raise InputError(f"intake.signed {source.name}: secret_file is missing or empty")
        found[source.name] = secrets
    return found


def is_local(request: Request) -> bool:
    """Whether a request comes from this machine, by a name of this machine, past no proxy.

    The Host header is checked because a hostile page can point its own name at 127.0.0.1
    (DNS rebinding); a proxy's headers, because it speaks for others.
    """
    headers = request.headers
    if any(name in headers for name in ("x-forwarded-for", "forwarded", "x-real-ip")):
        return False
    host = headers.get("host", "")
    name = (
        host[: host.rindex("]") + 1] if host.startswith("[") and "]" in host else host.split(":")[0]
    )
    client = request.client.host if request.client else ""
    return security.is_loopback(client) and security.is_loopback(name)


class SecurityHeaders:
    """Adds the security headers to every answer, also to those of errors."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, adding headers as the answer starts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                named = {name for name, _ in headers}
                headers.extend(pair for pair in security.HEADERS if pair[0] not in named)
                if b"cache-control" not in named:
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, send_with_headers)
