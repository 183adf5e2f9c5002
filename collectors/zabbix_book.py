"""What is known of a Zabbix' problems, and what follows from what it says now: no network, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from collectors.alert_zabbix import EVENT_ID, NAMES, identity, problem_labels
from collectors.snapshot import seal, unseal
from collectors.told import KEY_LABEL, Action, Told, notes_of, settle
from model.alert import Alert
from model.codec import decode, encode
from model.errors import SnapshotError
from model.identity import derive_id
from model.incident import Act, ActKind, Incident, IncidentState
from model.labels import Labels

Row = Mapping[str, Any]
ACKNOWLEDGE, MESSAGE, UNACKNOWLEDGE = 2, 4, 16
AGAIN_MS = 12 * 3_600_000
"""What stays open is told again before it would expire."""
UNHEARD_MS = 600_000
"""So long what somebody did waits for its alert to have an incident."""
DONE_MAX = 10_000
_VERSION = 1
_OURS = re.compile(r"\[tocsin [0-9a-f]{8,64}\]")
_TEXT_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Followed:
    """An open problem: the alert it is, and the last of its updates that was dealt with."""

    alert: Alert
    update: int = 0


@dataclass(slots=True)
class Book:
    """Where reading stands.

    Attributes
    ----------
    followed : dict of str to Followed
        Open problems, by eventid.
    cursor : int
        Events up to it are dealt with.
    since_ms : int
        When it was first asked: what came and went before is history.
    done : dict of str to None
        Events behind the cursor that are over, the oldest first.
    """

    followed: dict[str, Followed] = field(default_factory=dict)
    cursor: int = 0
    since_ms: int = 0
    done: dict[str, None] = field(default_factory=dict)

    def copy(self) -> Book:
        """One that can be changed."""
        return Book(dict(self.followed), self.cursor, self.since_ms, dict(self.done))

    def named(self, key: str) -> Alert | None:
        """The open alert of an identity."""
        found = (one.alert for one in self.followed.values())
        return next((alert for alert in found if alert.labels.get(KEY_LABEL) == key), None)

    def over(self, event: str) -> None:
        """It is dealt with."""
        self.followed.pop(event, None)
        self.done[event] = None
        while len(self.done) > DONE_MAX:
            del self.done[next(iter(self.done))]

    def save(self) -> bytes:
        """As a snapshot."""
        followed = {
            event: [one.update, encode(one.alert).decode()] for event, one in self.followed.items()
        }
        state = {"followed": followed, "cursor": self.cursor, "since_ms": self.since_ms}
        return seal("zabbix", _VERSION, {**state, "done": list(self.done)})

    @classmethod
    def load(cls, data: bytes) -> Book:
        """Read a snapshot.

        Raises
        ------
        SnapshotError
            If it cannot be read.
        """
        state = unseal("zabbix", _VERSION, data)
        try:
            followed = {
                str(event): Followed(decode(Alert, alert), int(update))
                for event, (update, alert) in state["followed"].items()
            }
            done = dict.fromkeys(str(event) for event in state["done"])
            return cls(followed, int(state["cursor"]), int(state["since_ms"]), done)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SnapshotError(f"zabbix: does not read: {error!r}") from None


def number(value: object, most: int = 2**62) -> int:
    """A number as the API writes it; 0 for what is none.

    Examples
    --------
    >>> number("15"), number("soon"), number(None)
    (15, 0, 0)
    """
    text = str(value)
    return min(int(text[:19]), most) if text.isascii() and text.isdecimal() else 0


def time_ms(row: Row, now_ms: int) -> int:
    """When an event happened; never ahead of now."""
    return min(number(row.get("clock")) * 1_000, now_ms) or now_ms


def told_of(event: Row, trigger: Row, severity: object, *, now_ms: int) -> Told:
    """What a problem's event and trigger say, as the media type would have pushed it."""
    tags = [(str(tag.get("tag", "")), str(tag.get("value", ""))) for tag in _rows(event, "tags")]
    hosts = [str(host.get("name", "")) for host in _rows(event, "hosts")]
    groups = ", ".join(sorted({str(one.get("name", "")) for one in _rows(trigger, "groups")}))
    level = min(number(severity), 5)
    name = str(event.get("name") or f"problem {event.get('eventid')}")
    key = identity(str(event.get("objectid", "")), tags)
    host = hosts[0] if hosts else ""
    notes = {
        "summary": f"{name} ({host})" if host else name,
        "description": str(event.get("opdata") or trigger.get("comments") or ""),
        "zabbix_severity": NAMES[level],
        EVENT_ID: str(event.get("eventid", "")),
        "zabbix_trigger_id": str(event.get("objectid", "")),
    }
    return Told(
        key,
        Action.FIRE,
        time_ms(event, now_ms),
        problem_labels(key, name, level, host, groups, tags),
        notes_of(notes),
        url=_link(trigger.get("url")),
    )


def _rows(row: Row, name: str) -> list[Row]:
    found = row.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _link(value: object) -> str:
    text = str(value or "")
    return text[:2_000] if text.startswith(("http://", "https://")) else ""


def fire(book: Book, event: str, told: Told, *, source: str, now_ms: int) -> list[Alert]:
    """A problem begins, or is worse, better or still there."""
    known = book.followed.get(event)
    found = settle(told, known.alert if known else book.named(told.key), source=source, now_ms=now_ms)  # fmt: skip
    book.followed[event] = Followed(found[0], known.update if known else 0)
    return found


def end(book: Book, event: str, *, ends_ms: int, source: str, now_ms: int) -> list[Alert]:
    """A problem is over; its alert with it, unless another event of the same keeps it."""
    one = book.followed[event]
    book.over(event)
    key = one.alert.labels.get(KEY_LABEL, "")
    if any(other.alert.key == one.alert.key for other in book.followed.values()):
        return []
    return settle(Told(key, Action.RESOLVE, ends_ms), one.alert, source=source, now_ms=now_ms)


def again(followed: Followed, severity: object, now_ms: int) -> Told | None:
    """What is to be said anew of an open problem: another severity, or a sign of life before it expires."""
    alert, level = followed.alert, min(number(severity), 5)
    same = alert.annotations.get("zabbix_severity", "") == NAMES[level]
    if same and now_ms - alert.arrival_ms < AGAIN_MS:
        return None
    labels = dict(alert.labels)
    fresh = problem_labels(labels[KEY_LABEL], alert.name, level, "", "", ())
    return Told(
        labels[KEY_LABEL],
        Action.FIRE,
        now_ms,
        Labels.of({**labels, "severity": fresh["severity"]}),
        Labels.of({**dict(alert.annotations), "zabbix_severity": NAMES[level]}),
        url=alert.generator_url,
    )


@dataclass(frozen=True, slots=True)
class Update:
    """Something that was done to a problem in Zabbix."""

    id: int
    at_ms: int
    user: str
    action: int
    text: str


def updates(row: Row, after: int) -> list[Update]:
    """What people did to a problem since, in order; what we did is left out."""
    found = [
        Update(
            number(one.get("acknowledgeid")),
            number(one.get("clock")) * 1_000,
            str(one.get("userid", "")),
            number(one.get("action")),
            str(one.get("message") or ""),
        )
        for one in _rows(row, "acknowledges")
    ]
    return sorted((one for one in found if one.id > after), key=lambda one: one.id)


def is_ours(update: Update) -> bool:
    """Whether we wrote it: it must not come back to us as somebody's act."""
    return bool(_OURS.search(update.text))


def newest(row: Row) -> int:
    """The id of the last thing done to a problem; 0 where nothing was."""
    return max((one.id for one in updates(row, 0)), default=0)


def acts_of(
    done: Iterable[tuple[Update, Incident]], users: Mapping[str, str], *, source: str, now_ms: int
) -> list[Act]:
    """Acts on incidents, each once: who acknowledges three problems of an incident acknowledges it once."""
    states: dict[str, IncidentState] = {}
    said: set[tuple[str, str, int, str]] = set()
    acts: list[Act] = []
    for update, incident in done:
        state = states.get(incident.id, incident.state)
        kind = _kind(update, state)
        one = (incident.id, update.user, update.at_ms, update.text)
        if kind is None or (kind is ActKind.NOTE and one in said):
            continue
        said.add(one)
        if kind is ActKind.ACKNOWLEDGE:
            states[incident.id] = IncidentState.ACKNOWLEDGED
        elif kind is ActKind.UNACKNOWLEDGE:
            states[incident.id] = IncidentState.OPEN
        acts.append(
            Act(
                id=derive_id("zabbix", source, update.id),
                incident_id=incident.id,
                kind=kind,
                actor=f"{users.get(update.user) or update.user} ({source})",
                time_ms=min(update.at_ms, now_ms) or now_ms,
                text=update.text[:_TEXT_MAX],
            )
        )
    return acts


def _kind(update: Update, state: IncidentState) -> ActKind | None:
    if update.action & ACKNOWLEDGE and state is IncidentState.OPEN:
        return ActKind.ACKNOWLEDGE
    if update.action & UNACKNOWLEDGE and state is IncidentState.ACKNOWLEDGED:
        return ActKind.UNACKNOWLEDGE
    return ActKind.NOTE if update.action & MESSAGE and update.text.strip() else None


def adopt(book: Book, alerts: Sequence[Alert]) -> None:
    """Follow what the records say is open: after a crash the snapshot may be older."""
    for alert in alerts:
        event = alert.annotations.get(EVENT_ID, "")
        if event and event not in book.followed and event not in book.done:
            book.followed[event] = Followed(alert)
