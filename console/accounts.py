"""Users, tokens and sessions: who somebody is, and the acts of administration."""

from __future__ import annotations

import hmac
import secrets
import threading
from dataclasses import replace

from console.call import NOBODY, Who
from console.security import Throttle, csrf_token
from console.settings import ConsoleSettings
from model.account import AuditRecord, Role, Token, User
from model.errors import InputError
from model.identity import derive_id
from store import audit, sessions, tokens, users
from store.passwords import (
    PASSWORD_BYTES_MAX,
    hash_password,
    hash_token,
    new_token,
    verify_password,
)
from store.sessions import Session
from store.store import Store

CACHE_MS = 2_000
CACHE_MAX = 1_000
USED_NOTE_MS = 60_000
NAME_MAX = 64


class Accounts:
    """Looks people and tokens up, with a short memory: a revoked token works no longer than 2 s."""

    def __init__(self, store: Store, settings: ConsoleSettings) -> None:
        self.store = store
        self.settings = settings
        self.local = Who("local", Role.ADMIN, "local", secret=secrets.token_urlsafe(32))
        self._tokens: dict[str, tuple[int, Who]] = {}
        self._used: dict[str, int] = {}
        self._credentials: tuple[int, bool] | None = None
        self._throttle = Throttle(
            tries_max=settings.sign_in_tries_max, window_ms=settings.sign_in_window_ms
        )
        self._lock = threading.Lock()

    # --- credentials --------------------------------------------------------------------------

    def known_credentials(self, now_ms: int) -> bool | None:
        """What `has_credentials` lately said, or None if that is too long ago."""
        known = self._credentials
        return known[1] if known and abs(now_ms - known[0]) < CACHE_MS else None

    def has_credentials(self, now_ms: int) -> bool:
        """Whether a user or a token exists: then nobody comes in without one."""
        with self.store.records.read() as conn:
            found = users.count(conn) > 0 or tokens.count(conn) > 0
        self._credentials = (now_ms, found)
        return found

    # --- tokens -------------------------------------------------------------------------------

    def cached_token(self, text: str, now_ms: int) -> Who | None:
        """Whose token it is, if it was looked up lately."""
        known = self._tokens.get(hash_token(text))
        return known[1] if known and abs(now_ms - known[0]) < CACHE_MS else None

    def by_token(self, text: str, now_ms: int) -> Who:
        """Whose token it is; `NOBODY` if it is unknown or revoked."""
        hashed = hash_token(text)
        with self.store.records.read() as conn:
            token = tokens.by_hash(conn, hashed)
        if token is None or not hmac.compare_digest(token.token_hash, hashed):
            return NOBODY
        who = Who(token.name, token.role, "token")
        with self._lock:
            if len(self._tokens) >= CACHE_MAX:
                self._tokens.clear()
            self._tokens[hashed] = (now_ms, who)
            seldom = now_ms - self._used.get(token.id, 0) >= USED_NOTE_MS
            self._used[token.id] = now_ms if seldom else self._used[token.id]
        if seldom:
            with self.store.records.write() as conn:
                tokens.used(conn, token.id, now_ms=now_ms)
        return who

    def make_token(self, name: str, role: Role, *, by: Who, now_ms: int, address: str) -> str:
        """Make a token and give its text, which is never shown again."""
        _check_name(name)
        text, kept = new_token()
        token = Token(derive_id("token", kept), name, role, kept, now_ms)
        with self.store.records.write() as conn:
            tokens.save(conn, [token])
            audit.save(conn, [record(by, "token_made", name, role.value, now_ms, address)])
        self._forget()
        return text

    def revoke_token(self, token_id: str, *, by: Who, now_ms: int, address: str) -> None:
        """Refuse a token from now on."""
        with self.store.records.write() as conn:
            if not tokens.revoke(conn, token_id):
                raise LookupError(token_id)
            audit.save(conn, [record(by, "token_revoked", token_id, "", now_ms, address)])
        self._forget()

    # --- users --------------------------------------------------------------------------------

    def save_user(
        self, name: str, role: Role, password: str, *, by: Who, now_ms: int, address: str
    ) -> None:
        """Make a user, or change role and (if given) password; a change signs the user out."""
        _check_name(name)
        with self.store.records.read() as conn:
            known = users.get(conn, name)
        if known is None and not password:
            raise InputError("a new user needs a password")
        hashed = self._hash(password) if password else known.password_hash if known else ""
        user = replace(known or User(name, role), role=role, password_hash=hashed, disabled=False)
        with self.store.records.write() as conn:
            users.save(conn, [user])
            sessions.remove_of(conn, name)
            audit.save(conn, [record(by, "user_saved", name, role.value, now_ms, address)])
        self._forget()

    def disable_user(self, name: str, *, by: Who, now_ms: int, address: str) -> None:
        """Refuse a user from now on, and sign out every browser of theirs."""
        with self.store.records.write() as conn:
            user = users.get(conn, name)
            if user is None:
                raise LookupError(name)
            users.save(conn, [replace(user, disabled=True)])
            sessions.remove_of(conn, name)
            audit.save(conn, [record(by, "user_disabled", name, "", now_ms, address)])

    def change_password(self, who: Who, old: str, new: str, *, now_ms: int, address: str) -> None:
        """Change one's own password; every session of theirs ends."""
        with self.store.records.read() as conn:
            user = users.get(conn, who.name)
        if user is None or not verify_password(old, user.password_hash):
            raise InputError("the present password is not right")
        self.save_user(who.name, user.role, new, by=who, now_ms=now_ms, address=address)

    def set_language(self, who: Who, language: str) -> None:
        """Keep a user's language with the account."""
        with self.store.records.write() as conn:
            if (user := users.get(conn, who.name)) is not None:
                users.save(conn, [replace(user, language=language)])

    def _hash(self, password: str) -> str:
        least = self.settings.password_length_min
        if len(password) < least:
            raise InputError(f"a password needs at least {least} characters")
        if len(password.encode("utf-8", "surrogatepass")) > PASSWORD_BYTES_MAX:
            raise InputError(f"a password may have at most {PASSWORD_BYTES_MAX} bytes")
        return hash_password(password)

    # --- sessions -----------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, *, now_ms: int, address: str) -> str | None:
        """Check a password and begin a session under a new id; None if it is refused.

        Name and address together are throttled, so that nobody can lock another one out.
        """
        key = f"{name[:NAME_MAX]}\n{address}"
        if self._throttle.blocked(key, now_ms):
            return None
        with self.store.records.read() as conn:
            user = users.get(conn, name)
        hashed = user.password_hash if user and not user.disabled else ""
        if not verify_password(password, hashed):
            self._throttle.failed(key, now_ms)
            return None
        self._throttle.forget(key)
        secret = secrets.token_urlsafe(32)
        lifetime_ms = min(self.settings.session_idle_ms, self.settings.session_lifetime_ms)
        session = Session(
            hash_token(secret), name, csrf_token(secret), now_ms, now_ms + lifetime_ms
        )
        with self.store.records.write() as conn:
            sessions.save(conn, [session])
            audit.save(conn, [AuditRecord(now_ms, name, "signed_in", name, "", address)])
        return secret

    def by_session(self, secret: str, now_ms: int) -> Who:
        """Whose session it is; a session in use lives on, up to its lifetime."""
        with self.store.records.read() as conn:
            session = sessions.get(conn, hash_token(secret), now_ms=now_ms)
            user = users.get(conn, session.user) if session else None
        if session is None or user is None or user.disabled:
            return NOBODY
        idle_ms = self.settings.session_idle_ms
        ends_ms = min(now_ms + idle_ms, session.created_ms + self.settings.session_lifetime_ms)
        if ends_ms - session.expires_ms > idle_ms // 20:  # seldom, because each is a write
            with self.store.records.write() as conn:
                sessions.save(conn, [replace(session, expires_ms=ends_ms)])
        return Who(user.name, user.role, "session", secret=secret, language=user.language)

    def sign_out(self, who: Who) -> None:
        """End this session."""
        with self.store.records.write() as conn:
            sessions.remove(conn, hash_token(who.secret))

    def form_fits(self, who: Who, csrf: str) -> bool:
        """Whether a form was given to this very session."""
        if not who.secret:
            return False
        return hmac.compare_digest(csrf.encode(), csrf_token(who.secret).encode())

    def _forget(self) -> None:
        self._tokens.clear()
        self._credentials = None


def record(who: Who, act: str, target: str, detail: str, now_ms: int, address: str) -> AuditRecord:
    """An audit record of what somebody did."""
    return AuditRecord(now_ms, who.name, act, target[:500], detail[:1000], address)


def _check_name(name: str) -> None:
    if not name or len(name) > NAME_MAX or not name.isprintable() or name != name.strip():
        raise InputError(f"a name must be 1 to {NAME_MAX} printable characters")
