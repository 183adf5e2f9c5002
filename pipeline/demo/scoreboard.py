"""What was true against what was found: one row per fault, and the incidents that were of none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table

from model.reason import Reason, gettext
from pipeline.demo.faults import Fault
from pipeline.output import printable

GRACE_MS = 30_000

_COLUMNS: tuple[tuple[str, bool], ...] = (
    (gettext("Fault"), False),
    (gettext("Culprit"), False),
    (gettext("Noticed"), True),
    (gettext("Incidents"), True),
    (gettext("Tickets"), True),
    (gettext("Pages"), True),
    (gettext("Resolved"), True),
    (gettext("Verdict"), False),
)
"""Headings of the table, and whether the column is of numbers."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A fault as it happened. `ended_ms` is None while it lasts."""

    fault: Fault
    started_ms: int
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An incident as the pipeline's API tells it.

    Attributes
    ----------
    culprit : str
        The service of its first cause.
    title : str
        Already in words.
    tickets, tickets_closed : int
        Tickets that carry its key, and those of them that are closed.
    pages : int
        Pages sent, the notice that it is over not counted.
    """

    id: str
    culprit: str
    title: str
    state: str
    opened_ms: int
    resolved_ms: int | None = None
    tickets: int = 0
    tickets_closed: int = 0
    pages: int = 0
    muted: bool = False
    simulated: bool = False
    merged_into: str = ""

    @property
    def active(self) -> bool:
        """Whether somebody should be working on it."""
        return self.state in ("open", "acknowledged")


class Flaw(StrEnum):
    """What can be wrong with the handling of one fault."""

    MISSED = gettext("missed")
    SPLIT = gettext("split")
    MISBLAMED = gettext("wrong culprit")
    TICKETS = gettext("not one ticket")
    NOT_PAGED = gettext("nobody paged")
    NOT_RESOLVED = gettext("not resolved")
    NOT_CLOSED = gettext("ticket not closed")


@dataclass(frozen=True, slots=True)
class Row:
    """One fault's score. Times are milliseconds; None where it has not happened."""

    name: str
    service: str
    what: Reason
    started_ms: int
    ended_ms: int | None
    noticed_after_ms: int | None
    resolved_after_ms: int | None
    incidents: int
    tickets: int
    tickets_closed: int
    pages: int
    named: str
    incident_ids: tuple[str, ...]
    flaws: tuple[Flaw, ...]

    @property
    def ok(self) -> bool:
        """Whether one person would have been called once, for the right service."""
        return not self.flaws


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """All rows, and the incidents that belong to no fault."""

    rows: tuple[Row, ...]
    false: tuple[Found, ...]

    @property
    def ok(self) -> bool:
        """Nothing missed, split, misblamed or invented."""
        return bool(self.rows) and not self.false and all(row.ok for row in self.rows)


def compare(
    committed: Sequence[Committed], found: Sequence[Found], *, grace_ms: int = GRACE_MS
) -> Scoreboard:
    """Give each incident to the fault it was opened in, and judge.

    An incident belongs to the latest fault that had started when it was opened, if that one
    lasted or had ended at most `grace_ms` before. One that belongs to none is false, unless it is
    simulated or muted: an incident of the host or of the pipeline itself is false too, because
    nothing was done to them.

    Examples
    --------
    >>> from pipeline.demo.faults import FAULTS
    >>> truth = [Committed(FAULTS[0], 10_000, 40_000)]
    >>> board = compare(truth, [Found("i", "search", "", "closed", 17_000, 52_000, 1, 1, 1)])
    >>> board.ok, board.rows[0].noticed_after_ms, board.rows[0].resolved_after_ms
    (True, 7000, 12000)
    """
    owned: list[list[Found]] = [[] for _ in committed]
    false: list[Found] = []
    for incident in sorted(found, key=lambda i: (i.opened_ms, i.id)):
        if incident.simulated:
            continue
        owner = _owner(committed, incident.opened_ms, grace_ms)
        if owner is not None:
            owned[owner].append(incident)
        elif not incident.muted:
            false.append(incident)
    rows = [_judge(fact, mine) for fact, mine in zip(committed, owned, strict=True)]
    return Scoreboard(tuple(rows), tuple(false))


def _owner(committed: Sequence[Committed], opened_ms: int, grace_ms: int) -> int | None:
    started = [i for i, fact in enumerate(committed) if fact.started_ms <= opened_ms]
    if not started:
        return None
    latest = max(started, key=lambda i: committed[i].started_ms)
    ended_ms = committed[latest].ended_ms
    return latest if ended_ms is None or opened_ms <= ended_ms + grace_ms else None


def _judge(fact: Committed, incidents: Sequence[Found]) -> Row:
    # Merged incidents are one for people; their tickets still count as tickets.
    separate = [incident for incident in incidents if not incident.merged_into]
    first = separate[0] if separate else None
    row = Row(
        name=fact.fault.name,
        service=fact.fault.service,
        what=fact.fault.what,
        started_ms=fact.started_ms,
        ended_ms=fact.ended_ms,
        noticed_after_ms=first.opened_ms - fact.started_ms if first else None,
        resolved_after_ms=_resolved_after_ms(fact, first),
        incidents=len(separate),
        tickets=sum(incident.tickets for incident in incidents),
        tickets_closed=sum(incident.tickets_closed for incident in incidents),
        pages=sum(incident.pages for incident in incidents),
        named=first.culprit if first else "",
        incident_ids=tuple(incident.id for incident in incidents),
        flaws=(),
    )
    return dataclasses.replace(row, flaws=_flaws(row, first))


def _resolved_after_ms(fact: Committed, first: Found | None) -> int | None:
    if first is None or first.resolved_ms is None or fact.ended_ms is None:
        return None
    # Resolved on the last sample before the end counts as at once.
    return max(0, first.resolved_ms - fact.ended_ms)


def _flaws(row: Row, first: Found | None) -> tuple[Flaw, ...]:
    if first is None:
        return (Flaw.MISSED,)
    checks = (
        (Flaw.SPLIT, row.incidents > 1),
        (Flaw.MISBLAMED, row.named != row.service),
        (Flaw.TICKETS, row.tickets != 1),
        (Flaw.NOT_PAGED, row.pages == 0),
        (Flaw.NOT_RESOLVED, first.active),
        (Flaw.NOT_CLOSED, row.tickets_closed < row.tickets),
    )
    return tuple(flaw for flaw, wrong in checks if wrong)


def table(board: Scoreboard, translate: Callable[[str], str] = str) -> Table:
    """The board for a terminal, a row per fault and one per false incident.

    Parameters
    ----------
    translate
        Says an English message in the reader's language.
    """
    # Eighty columns are enough for it.
    made = Table(title=translate("Truth and what was found"), box=None, pad_edge=False)
    for heading, number in _COLUMNS:
        justify: JustifyMethod = "right" if number else "left"
        narrow = heading != _COLUMNS[-1][0]
        made.add_column(translate(heading), justify=justify, no_wrap=narrow, overflow="fold")
    for row in board.rows:
        wrong = {flaw: translate(flaw.value) for flaw in row.flaws}
        if Flaw.MISBLAMED in wrong:
            wrong[Flaw.MISBLAMED] += f" ({row.named})"
        made.add_row(
            row.name,
            row.service,
            _seconds(row.noticed_after_ms),
            str(row.incidents),
            f"{row.tickets_closed}/{row.tickets}",
            str(row.pages),
            _seconds(row.resolved_after_ms),
            ", ".join(wrong.values()) or translate("pass"),
            style="" if row.ok else "bold red",
        )
    for each in board.false:
        tickets = f"{each.tickets_closed}/{each.tickets}"
        verdict = f"{translate('false')}: {printable(each.title)}"
        row_of = ("–", each.culprit, "–", "1", tickets, str(each.pages), "–", verdict)
        made.add_row(*map(escape, row_of), style="bold red")
    return made


def _seconds(duration_ms: int | None) -> str:
    return "–" if duration_ms is None else f"{duration_ms / 1000:.1f} s"


def report(board: Scoreboard) -> dict[str, object]:
    """The board for `--report`: plain JSON values, times in milliseconds."""
    rows = [
        {
            **{f.name: getattr(row, f.name) for f in dataclasses.fields(row)},
            "what": row.what.text(),
            "flaws": [flaw.value for flaw in row.flaws],
            "incident_ids": list(row.incident_ids),
            "ok": row.ok,
        }
        for row in board.rows
    ]
    false = [dataclasses.asdict(incident) for incident in board.false]
    return {"ok": board.ok, "faults": rows, "false_incidents": false}
