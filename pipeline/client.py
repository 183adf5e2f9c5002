"""The HTTP API as the command line uses it."""

from __future__ import annotations

import os
from typing import Any

import requests

from model.errors import PermanentError, TransientError

DEFAULT_URL = "http://127.0.0.1:8420"
TIMEOUT_S = 30


class Client:
    """Talks to a running Tocsin.

    Parameters
    ----------
    url : str
        Where it listens; the environment variable TOCSIN_URL, else the default.
    token : str
        An API token; the environment variable TOCSIN_TOKEN, else none (a fresh Tocsin on
        loopback needs none).
    language : str
        Of the sentences in answers; the environment variable TOCSIN_LANGUAGE, else English.
    """

    def __init__(self, url: str = "", token: str = "", *, language: str = "") -> None:
        self.url = (url or os.environ.get("TOCSIN_URL") or DEFAULT_URL).rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy must not see an incident
        language = language or os.environ.get("TOCSIN_LANGUAGE") or "en"
        self._session.headers["Accept-Language"] = language.replace("_", "-")
        if token := token or os.environ.get("TOCSIN_TOKEN", ""):
            self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **params: Any) -> Any:
        """GET JSON."""
        return self._call("GET", path, params=params)

    def text(self, path: str, **params: Any) -> str:
        """GET anything as text."""
        return str(self._call("GET", path, params=params, raw=True))

    def post(self, path: str, body: Any) -> Any:
        """POST JSON, get JSON."""
        return self._call("POST", path, body=body)

    def delete(self, path: str) -> Any:
        """DELETE."""
        return self._call("DELETE", path)

    def _call(
        self, method: str, path: str, *, params: Any = None, body: Any = None, raw: bool = False
    ) -> Any:
        given = {k: v for k, v in (params or {}).items() if v not in (None, "")}
        try:
            answer = self._session.request(
                method, self.url + path, params=given, json=body, timeout=TIMEOUT_S
            )
        except requests.RequestException as error:
            raise TransientError(
                f"nothing answers at {self.url} ({type(error).__name__}); is `tocsin run` running? "
                "Give another address with --url or TOCSIN_URL"
            ) from None
        if answer.status_code >= 400:
            raise _failure(answer)
        if raw:
            return answer.text
        return answer.json() if answer.content else None


def _failure(answer: requests.Response) -> PermanentError:
    hint = {
        401: "; give a token with --token or TOCSIN_TOKEN",
        403: "; the token's role is too low",
    }
    try:
        body = answer.json()
        said = body.get("error") or body.get("detail") or body if isinstance(body, dict) else body
        problems = body.get("problems", []) if isinstance(body, dict) else []
    except ValueError:
        said, problems = answer.text[:200], []
    lines = [f"{answer.status_code}: {said}{hint.get(answer.status_code, '')}"]
    lines += [
        "  "
        + f"{p.get('where', '')}: {p.get('problem', p)}"
        + (f"; {p['hint']}" if p.get("hint") else "")
        for p in problems
        if isinstance(p, dict)
    ]
    return PermanentError("\n".join(lines))
