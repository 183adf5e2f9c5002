"""Sign-in, one's own account, and the administration of users and tokens."""

from __future__ import annotations

from functools import partial

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from console.accounts import Accounts
from console.api_operations import role_of
from console.call import Call, Endpoint, Kind
from console.i18n import LANGUAGES
from console.pages import THEME_COOKIE, THEMES, back, page, static_files
from model.account import Role
from model.errors import InputError
from model.reason import Reason, because
from store import audit, tokens, users

SESSION_COOKIE = "tocsin_session"
LANGUAGE_COOKIE = "tocsin_language"
YEAR_S = 31_536_000
SIGN_INS_AT_ONCE = 1
SIGN_INS_WAITING_MAX = 50
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def secure(call: Call) -> bool:
    """Whether cookies must travel over https only."""
    outside = call.ports.settings.external_url.lower().startswith("https:")
    return outside or call.request.scope["scheme"] == "https"


def safe_next(target: str) -> str:
    """A path on this server, "/" for anything else.

    Examples
    --------
    >>> safe_next("/incidents/x"), safe_next("//evil.example"), safe_next("https://evil.example")
    ('/incidents/x', '/', '/')
    """
    inside = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if inside and target.isprintable() else "/"


class AccountPages:
    """Pages that change who somebody is."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self._places = CapacityLimiter(SIGN_INS_AT_ONCE)

    def sign_in_page(self, call: Call) -> Response:
        """`/sign-in`."""
        return self._sign_in(call, None, safe_next(call.query("next", "/")))

    def _sign_in(
        self, call: Call, refused: Reason | None, target: str, status: int = 200
    ) -> Response:
        return page(
            call, "sign_in.html", status, refused=refused, next=target,
            has_credentials=self.accounts.has_credentials(call.now_ms),
        )  # fmt: skip

    async def sign_in(self, call: Call) -> Response:
        """`/sign-in`: always under a new session id, so that none can be planted (A18)."""
        form, counters = call.form(), call.ports.counters
        target = safe_next(form.get("next", "/"))
        # Each password costs 32 MiB and 60 ms by design: a crowd of strangers queues for a place of its
        # own, not in the threads that answer pages and pushes (A22).
        if self._places.statistics().tasks_waiting >= SIGN_INS_WAITING_MAX:
            counters.add("tocsin_console_sign_in_failures_total")
            return Response("too many sign-ins at this moment\n", 503, {"retry-after": "5"})
        secret = await to_thread.run_sync(
            partial(
                self.accounts.sign_in, form.get("name", ""), form.get("password", ""),
                now_ms=call.now_ms, address=call.address,
            ),
            limiter=self._places,
        )  # fmt: skip
        if secret is None:
            counters.add("tocsin_console_sign_in_failures_total")
            refused = because("the name or the password is not right, or there were too many tries")
            return await run_in_threadpool(self._sign_in, call, refused, target, 401)
        counters.add("tocsin_console_sign_ins_total")
        response = RedirectResponse(target, 303)
        lifetime_s = call.ports.settings.session_lifetime_ms // 1000
        response.set_cookie(
            SESSION_COOKIE, secret, max_age=lifetime_s, httponly=True, samesite="lax", secure=secure(call)
        )  # fmt: skip
        return response

    def sign_out(self, call: Call) -> Response:
        """`/sign-out`."""
        if call.who.how == "session":
            self.accounts.sign_out(call.who)
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(SESSION_COOKIE)
        return response

    def look(self, call: Call) -> Response:
        """`/look`: theme and language, kept in cookies (and the language with the account)."""
        form = call.form()
        response = RedirectResponse(safe_next(form.get("next", "/")), 303)
        options = {"max_age": YEAR_S, "samesite": "lax", "secure": secure(call)}
        if form.get("theme") in THEMES:
            response.set_cookie(THEME_COOKIE, form["theme"], **options)  # type: ignore[arg-type]
        if form.get("language") in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, form["language"], **options)  # type: ignore[arg-type]
            if call.who.how == "session":
                self.accounts.set_language(call.who, form["language"])
        return response

    def account(self, call: Call) -> Response:
        """`/account`: one's own account; users and tokens for an administrator."""
        return self._account(call)

    def _account(self, call: Call, made: str = "") -> Response:
        admin = call.who.may(Role.ADMIN)
        with call.ports.store.records.read() as conn:
            shown_users = users.everyone(conn) if admin else []
            shown_tokens = tokens.everything(conn) if admin else []
            acts = audit.recent(conn, actor="" if admin else call.who.name, limit=30)
        return page(
            call, "account.html", users=shown_users, tokens=shown_tokens, acts=acts, made=made,
            admin=admin, roles=tuple(Role),
        )  # fmt: skip

    def password(self, call: Call) -> Response:
        """`/account/password`."""
        if call.who.how != "session":
            raise InputError("only a user who is signed in has a password")
        form = call.form()
        self.accounts.change_password(
            call.who, form.get("old", ""), form.get("new", ""),
            now_ms=call.now_ms, address=call.address,
        )  # fmt: skip
        return back(call, "/sign-in")

    def save_user(self, call: Call) -> Response:
        """`/account/users`."""
        form = call.form()
        self.accounts.save_user(
            form.get("name", ""), role_of(form.get("role", "")), form.get("password", ""),
            by=call.who, now_ms=call.now_ms, address=call.address,
        )  # fmt: skip
        return back(call, "/account", "user_saved")

    def disable_user(self, call: Call) -> Response:
        """`/account/users/{name}/disable`."""
        self.accounts.disable_user(
            call.path("name"), by=call.who, now_ms=call.now_ms, address=call.address
        )
        return back(call, "/account", "user_disabled")

    def make_token(self, call: Call) -> Response:
        """`/account/tokens`: the answer shows the token, this once."""
        form = call.form()
        made = self.accounts.make_token(
            form.get("name", ""), role_of(form.get("role", "")),
            by=call.who, now_ms=call.now_ms, address=call.address,
        )  # fmt: skip
        return self._account(call, made)

    def revoke_token(self, call: Call) -> Response:
        """`/account/tokens/{id}/revoke`."""
        self.accounts.revoke_token(
            call.path("id"), by=call.who, now_ms=call.now_ms, address=call.address
        )
        return back(call, "/account", "token_revoked")

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Its routes."""
        return (
            Endpoint("GET", "/sign-in", Kind.PAGE, None, self.sign_in_page, "Sign in"),
            Endpoint("POST", "/sign-in", Kind.FORM, None, self.sign_in, "Sign in"),
            Endpoint("POST", "/sign-out", Kind.FORM, Role.VIEWER, self.sign_out, "Sign out"),
            Endpoint("POST", "/look", Kind.FORM, None, self.look, "Theme and language"),
            Endpoint("GET", "/account", Kind.PAGE, Role.VIEWER, self.account, "One's own account; users and tokens for an administrator"),
            Endpoint("POST", "/account/password", Kind.FORM, Role.VIEWER, self.password, "Change one's password"),
            Endpoint("POST", "/account/users", Kind.FORM, Role.ADMIN, self.save_user, "Make or change a user"),
            Endpoint("POST", "/account/users/{name}/disable", Kind.FORM, Role.ADMIN, self.disable_user, "Disable a user"),
            Endpoint("POST", "/account/tokens", Kind.FORM, Role.ADMIN, self.make_token, "Make an API token"),
            Endpoint("POST", "/account/tokens/{id}/revoke", Kind.FORM, Role.ADMIN, self.revoke_token, "Revoke an API token"),
        )  # fmt: skip


async def static(call: Call) -> Response:
    """`/static/{name}`: style sheet, script and logo; their address changes with their content."""
    name = call.path("name")
    data, tag = static_files()[name]
    etag = f'"{tag}"'
    headers = {"cache-control": "public, max-age=31536000, immutable", "etag": etag}
    if call.request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=_TYPES[name.rpartition(".")[2]])


ENDPOINTS = (
    Endpoint("GET", "/static/{name}", Kind.API, None, static, "Style sheet, script and logo"),
)
