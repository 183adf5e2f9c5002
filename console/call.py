"""One request as the handlers see it, and what each route declares about itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response

from collectors.json_input import load
from console.i18n import Translate, translator
from console.ports import Ports
from model.account import Role
from model.errors import InputError
from model.reason import Reason


class Kind(StrEnum):
    """How a route is spoken to, which decides how a refusal is said."""

    PAGE = "page"  # a browser: HTML; without a sign-in it is led to one
    FORM = "form"  # a browser's POST: needs the CSRF token
    API = "api"  # JSON
    PUSH = "push"  # an intake: JSON, token, Basic or signature


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks: a user by session, a token, a signed source, or this machine in open mode.

    `name` is what audit records, notes and pushed alerts carry. `secret` is what forms are
    tied to.
    """

    name: str
    role: Role | None
    how: str  # "session", "token", "signature", "local" or "nobody"
    secret: str = ""
    language: str = ""

    def may(self, needed: Role | None) -> bool:
        """Whether the role suffices; nothing is needed for a public route."""
        return needed is None or (self.role is not None and self.role.may(needed))


NOBODY = Who("", None, "nobody")


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, when, in which language, and its body."""

    request: Request
    ports: Ports
    who: Who
    now_ms: int
    language: str = "en"
    body: bytes = b""

    @property
    def translate(self) -> Translate:
        """Says a message in the caller's language."""
        return translator(self.language)

    @property
    def address(self) -> str:
        """The caller's network address."""
        return self.request.client.host if self.request.client else ""

    @property
    def here(self) -> str:
        """The path that was asked for, as routed: `request.url` would mix in what Host claims."""
        return str(self.request.scope["path"])

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        """A query parameter, the last one if it is repeated."""
        return self.request.query_params.get(name, default)

    def integer(self, name: str, default: int, *, least: int = 0, most: int = 2**53) -> int:
        """A query parameter that must be a whole number within bounds.

        Raises
        ------
        InputError
            If it is not.
        """
        text = self.query(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 16):
            raise InputError(f"query parameter {name}: must be a whole number, got {text[:40]!r}")
        return min(max(int(text), least), most)

    def flag(self, name: str, default: bool) -> bool:
        """A query parameter that is "true" or "false"."""
        text = self.query(name)
        if text not in ("", "true", "false"):
            raise InputError(f"query parameter {name}: must be true or false, got {text[:40]!r}")
        return default if not text else text == "true"

    def form(self) -> dict[str, str]:
        """The fields of a submitted form.

        Raises
        ------
        InputError
            If the body is not a form.
        """
        try:
            text = self.body.decode("utf-8")
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
        except (UnicodeDecodeError, ValueError):
            raise InputError("the body is not a form") from None


Handler = Callable[[Call], Response | Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route: how it is reached, what it does, and the role it needs (None: public).

    `key_of` finds a token in the body, for senders that know no other place; such a body is read, up to
    `gate.STRANGER_BYTES_MAX`, before it is known who sent it.

    A plain function runs in a thread, so that it may read the store; a coroutine runs on the
    event loop and must not block. Where `encoded`, the body is handed over as sent: the handler
    decodes what its protocol uses. `reword` says refusals in a protocol's own form.
    """

    method: str
    path: str
    kind: Kind
    role: Role | None
    handler: Handler
    summary: str
    key_of: Callable[[bytes], str] | None = None
    encoded: bool = False
    reword: Callable[[Request, Response], Response] | None = None


def answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    data = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return Response(data, status, headers, media_type="application/json")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):  # Labels
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def refuse(
    status: int, error: str, problems: tuple[dict[str, str], ...] = (), **headers: str
) -> Response:
    """A JSON refusal; `problems` says where each mistake is and how to mend it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer({"error": error, "problems": list(problems)}, status, named)


def read_json(body: bytes) -> dict[str, object]:
    """A small JSON object (an API request that is not a push), with the pushes' care (A3).

    Raises
    ------
    InputError
        If it is not one, or is hostile.
    """
    value = load(body or b"{}")
    if not isinstance(value, dict):
        raise InputError("the body must be a JSON object")
    return value


def text_of(values: Mapping[str, object], name: str, *, most: int = 10_000) -> str:
    """A field that must be text, "" if it is missing."""
    value = values.get(name, "")
    if not isinstance(value, str):
        raise InputError(f"{name}: must be text")
    if len(value) > most:
        raise InputError(f"{name}: may have at most {most} characters")
    return value.replace("\x00", "")


def say(reason: Reason | None, translate: Translate) -> str:
    """A reason in words, "" for none."""
    return "" if reason is None else reason.text(translate)
