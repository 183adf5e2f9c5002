"""Silences as Alertmanager's API writes them, so that amtool and karma can manage ours."""

from __future__ import annotations

from dataclasses import replace

from collectors.alertmanager import rfc3339
from collectors.json_input import Json, Reader, load
from collectors.settings import IntakeLimits
from model.errors import LabelError
from model.identity import derive_id
from model.labels import Matcher, MatchOp
from model.silence import Silence

MATCHERS_MAX = 50
_LIMITS = IntakeLimits()


def parse_silence(
    body: bytes, *, now_ms: int, created_by: str = "", limits: IntakeLimits = _LIMITS
) -> Silence:
    """Read the body of `POST /api/v2/silences` (a PostableSilence).

    Parameters
    ----------
    created_by : str
        Who is signed in; goes before what the body says.

    Raises
    ------
    InputError
        Every problem, one a line: no matcher, one that would match everything, no end, an end past.

    Examples
    --------
    >>> silence = parse_silence(
    ...     b'{"matchers": [{"name": "job", "value": "a", "isRegex": false}],'
    ...     b' "endsAt": "1970-01-01T01:00:00Z", "comment": "update"}', now_ms=0, created_by="ann")
    >>> str(silence.matchers[0]), silence.ends_ms
    ('job="a"', 3600000)
    """
    reader = Reader(load(body, limits))
    matchers = _read_matchers(reader)
    starts_ms, ends_ms = reader.time_ms("startsAt"), reader.time_ms("endsAt")
    silence_id = reader.text("id")
    if starts_ms is None or (not silence_id and starts_ms < now_ms):
        starts_ms = now_ms
    if ends_ms is None:
        if not any(problem.startswith("/endsAt") for problem in reader.problems):
            reader.problem("endsAt", "must be set")
    elif ends_ms <= max(starts_ms, now_ms):
        reader.problem("endsAt", "must be after startsAt and not past", reader.data["endsAt"])
    author = created_by or reader.text("createdBy")
    comment = reader.text("comment")
    reader.check()
    parts = [str(matcher) for matcher in matchers]
    return Silence(
        id=silence_id or derive_id("silence", author, starts_ms, ends_ms, comment, *parts),
        matchers=tuple(matchers),
        starts_ms=starts_ms,
        ends_ms=ends_ms or 0,
        created_by=author,
        comment=comment,
        updated_ms=now_ms,
    )


def changes_to(before: Silence, after: Silence, *, now_ms: int) -> bool:
    """Whether one silence may become another under its id: Alertmanager's rules.

    The same matchers; not over; its start as it was once it has begun, and not past before that.

    Examples
    --------
    >>> one = Silence("s", (Matcher.parse("job=a"),), 0, 9_000, "ann", "", 0)
    >>> longer, over = replace(one, ends_ms=20_000), replace(one, ends_ms=4_000)
    >>> changes_to(one, longer, now_ms=5_000), changes_to(over, longer, now_ms=5_000)
    (True, False)
    """
    if set(before.matchers) != set(after.matchers):
        return False
    state = before.state(now_ms)
    if state == "active":
        return after.starts_ms // 1000 == before.starts_ms // 1000
    return state == "pending" and after.starts_ms >= now_ms


def anew(silence: Silence, *, now_ms: int) -> Silence:
    """The same as a silence of its own, from now on."""
    starts_ms = max(silence.starts_ms, now_ms)
    return replace(
        silence, id=derive_id("silence", silence.id, starts_ms, now_ms), starts_ms=starts_ms
    )


def _read_matchers(reader: Reader) -> list[Matcher]:
    items = reader.items("matchers")
    if not 1 <= len(items) <= MATCHERS_MAX:
        reader.problem("matchers", f"must be a list of 1 to {MATCHERS_MAX} matchers")
        return []
    matchers: list[Matcher] = []
    for position, item in enumerate(items):
        one = Reader(item, f"{reader.path}/matchers/{position}", reader.problems)
        name, value = one.text("name"), one.text("value")
        regex = one.flag("isRegex", default=False)
        equal = one.flag("isEqual", default=True)
        op = {
            (False, True): MatchOp.EQUAL,
            (False, False): MatchOp.NOT_EQUAL,
            (True, True): MatchOp.REGEX,
            (True, False): MatchOp.NOT_REGEX,
        }[regex, equal]
        try:
            matchers.append(Matcher(name, op, value))
        except LabelError as error:
            one.problem("", str(error))
    if matchers and all(matcher.matches({}) for matcher in matchers):
        reader.problem("matchers", "at least one must not match an empty value")
    return matchers


def silence_to_json(silence: Silence, *, now_ms: int) -> dict[str, Json]:
    """Write a silence as a GettableSilence, ready for JSON.

    Examples
    --------
    >>> silence = Silence("s", (Matcher.parse("job!=a"),), 0, 10, "ann", "", 0)
    >>> silence_to_json(silence, now_ms=5)["status"]
    {'state': 'active'}
    """
    return {
        "id": silence.id,
        "status": {"state": silence.state(now_ms)},
        "updatedAt": rfc3339(silence.updated_ms),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "startsAt": rfc3339(silence.starts_ms),
        "endsAt": rfc3339(silence.ends_ms),
        "matchers": [
            {
                "name": matcher.name,
                "value": matcher.value,
                "isRegex": matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX),
                "isEqual": matcher.op in (MatchOp.EQUAL, MatchOp.REGEX),
            }
            for matcher in silence.matchers
        ],
    }
