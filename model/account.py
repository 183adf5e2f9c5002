"""Who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Each role may do what the ones before it may."""

    VIEWER = "viewer"  # read
    RESPONDER = "responder"  # acknowledge, resolve, note, silence; push telemetry and alerts
    MANAGER = "manager"  # reports' settings, silences of any length
    ADMIN = "admin"  # accounts, tokens, reload

    def may(self, needed: Role) -> bool:
        """Whether this role includes `needed`.

        Examples
        --------
        >>> Role.MANAGER.may(Role.RESPONDER), Role.VIEWER.may(Role.RESPONDER)
        (True, False)
        """
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class User:
    """A local account; the password is kept as a scrypt hash by the store."""

    name: str
    role: Role
    password_hash: str = ""
    language: str = ""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """An API token; only its hash is kept."""

    id: str
    name: str
    role: Role
    token_hash: str
    created_ms: int
    last_used_ms: int | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One act of a person or a token, kept for ever."""

    time_ms: int
    actor: str
    act: str
    target: str
    detail: str = ""
    address: str = ""
