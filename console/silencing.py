"""Making and ending silences: the rules are the same for the API and for the page."""

from __future__ import annotations

from dataclasses import replace

from starlette.concurrency import run_in_threadpool

from console.accounts import record
from console.api_intake import accept
from console.call import Call
from model.account import Role
from model.errors import InputError, NotAllowed
from model.journal import JournalKind
from model.labels import Matcher, MatchOp
from model.silence import Silence
from model.units import format_duration
from store import audit, silences

MATCHERS_MAX = 32
MATCHER_CHARS_MAX = 4_096
"""As a label: nothing longer can fit, and a pattern is tried on every alert."""
COMMENT_MAX = 1_000
_BEGINNINGS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:~ "
_BEGINNINGS_MAX = 8


def check(call: Call, silence: Silence) -> None:
    """Refuse what is no silence, or more than the role may mute (A20).

    Raises
    ------
    InputError
        If no matcher narrows it, or it ends before it starts or now.
    NotAllowed
        If it is longer, or wider, than the role allows.
    """
    matchers = silence.matchers
    if not 0 < len(matchers) <= MATCHERS_MAX:
        raise InputError(f"matchers: between 1 and {MATCHERS_MAX} are needed")
    if any(max(len(m.name), len(m.value)) > MATCHER_CHARS_MAX for m in matchers):
        raise InputError(f"matchers: each may have at most {MATCHER_CHARS_MAX} characters")
    if all(matcher.matches({}) for matcher in matchers):
        raise InputError("matchers: at least one must not match an empty value")
    if silence.ends_ms <= max(silence.starts_ms, call.now_ms):
        raise InputError("endsAt: must be after startsAt and not past")
    if call.who.may(Role.MANAGER):
        return
    most_ms = call.ports.settings.silence_ms_max
    if silence.ends_ms - max(silence.starts_ms, call.now_ms) > most_ms:
        raise NotAllowed(f"a silence longer than {format_duration(most_ms)} needs the role manager")
    if not any(_narrows(matcher) for matcher in matchers):
        raise NotAllowed("a silence of everything needs the role manager")


def _narrows(matcher: Matcher) -> bool:
    """Whether it picks something out: `team="db"` does; `alertname=~".+"` and `x!=""` do not.

    A pattern that fits meaningless texts of more than a few beginnings, such as `[A-Za-z]+`, `[^q].*` or
    `.{3,}`, names nothing: it is taken for one that fits everything.
    """
    if matcher.op in (MatchOp.NOT_EQUAL, MatchOp.NOT_REGEX):
        return False
    if matcher.op is MatchOp.EQUAL:
        return True
    fitting = sum(
        any(
            matcher.matches({matcher.name: text}) for text in (c, c * 8, c + "qzjx", c + "Qz7-jx.w")
        )
        for c in _BEGINNINGS
    )
    return fitting <= _BEGINNINGS_MAX


async def create(call: Call, silence: Silence) -> Silence:
    """Make a silence, or change the one of that id."""
    check(call, silence)
    await run_in_threadpool(_check_room, call, silence)
    await _keep(call, silence, "silenced", " ".join(str(m) for m in silence.matchers))
    return silence


async def expire(call: Call, silence_id: str) -> None:
    """End a silence now."""
    silence = await existing(call, silence_id)
    ended = replace(
        silence,
        starts_ms=min(silence.starts_ms, call.now_ms),
        ends_ms=min(silence.ends_ms, call.now_ms),
        updated_ms=call.now_ms,
    )
    await _keep(call, ended, "silence_ended", "")


async def existing(call: Call, silence_id: str) -> Silence:
    """The silence of that id, or LookupError."""
    silence = await run_in_threadpool(_get, call, silence_id)
    if silence is None:
        raise LookupError(silence_id)
    return silence


async def _keep(call: Call, silence: Silence, act: str, detail: str) -> None:
    """Journal it for the correlator, and write the row at once so that the answer can be read back."""
    await accept(call, JournalKind.SILENCE, [silence])

    def write() -> None:
        with call.ports.store.records.write() as conn:
            silences.save(conn, [silence])
            done = record(call.who, act, silence.id, detail, call.now_ms, call.address)
            audit.save(conn, [done])

    await run_in_threadpool(write)


def _get(call: Call, silence_id: str) -> Silence | None:
    with call.ports.store.records.read() as conn:
        return silences.get(conn, silence_id)


def _check_room(call: Call, silence: Silence) -> None:
    most = call.ports.settings.silences_max
    with call.ports.store.records.read() as conn:
        known = {item.id for item in silences.current(conn, now_ms=call.now_ms)}
    if len(known) >= most and silence.id not in known:
        raise InputError(f"there are {most} silences already; end some, or use wider matchers")
