"""The judgement, rule by rule. Two faults: A at 100–130 s, B at 200–230 s; grace 30 s."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from pipeline.demo.faults import FAULTS
from pipeline.demo.scoreboard import Committed, Flaw, Found, compare, report, table

A, B = FAULTS[0], FAULTS[1]
TRUTH = [Committed(A, 100_000, 130_000), Committed(B, 200_000, 230_000)]


def found(
    name: str = "a",
    culprit: str = A.service,
    opened: int = 107,
    resolved: int | None = 142,
    state: str = "closed",
    **more: Any,
) -> Found:
    resolved_ms = None if resolved is None else resolved * 1000
    given = {"tickets": 1, "tickets_closed": 1, "pages": 1, **more}
    return Found(name, culprit, "title", state, opened * 1000, resolved_ms, **given)


GOOD_A = found()
GOOD_B = found("b", B.service, 204, 244)


def test_all_well() -> None:
    board = compare(TRUTH, [GOOD_B, GOOD_A])
    assert board.ok
    assert [(r.noticed_after_ms, r.resolved_after_ms) for r in board.rows] == [
        (7_000, 12_000),
        (4_000, 14_000),
    ]


@pytest.mark.parametrize(
    "incidents, flaws",
    [
        ([], (Flaw.MISSED,)),
        # A second incident of the same fault, while it lasts …
        ([GOOD_A, found("x", opened=125)], (Flaw.SPLIT, Flaw.TICKETS)),
        # … and in its aftermath.
        ([GOOD_A, found("x", opened=160, tickets=0, tickets_closed=0)], (Flaw.SPLIT,)),
        # Merged into the first they are one for people, but the second ticket was opened.
        ([GOOD_A, found("x", opened=120, merged_into="a")], (Flaw.TICKETS,)),
        ([GOOD_A, found("x", opened=120, merged_into="a", tickets=0, tickets_closed=0)], ()),
        ([found(culprit="gateway")], (Flaw.MISBLAMED,)),
        ([found(tickets=0, tickets_closed=0)], (Flaw.TICKETS,)),
        ([found(tickets=2, tickets_closed=2)], (Flaw.TICKETS,)),
        ([found(pages=0)], (Flaw.NOT_PAGED,)),
        # A page more, as the priority rose, is no flaw.
        ([found(pages=2)], ()),
        (
            [found(state="acknowledged", resolved=None, tickets_closed=0)],
            (Flaw.NOT_RESOLVED, Flaw.NOT_CLOSED),
        ),
        ([found(state="resolved", tickets_closed=0)], (Flaw.NOT_CLOSED,)),
    ],
)
def test_flaws(incidents: list[Found], flaws: tuple[Flaw, ...]) -> None:
    board = compare(TRUTH, [*incidents, GOOD_B])
    assert board.rows[0].flaws == flaws
    assert board.rows[1].ok
    assert board.ok is (not flaws)


@pytest.mark.parametrize(
    "opened, more, owner",
    [
        (99, {}, None),  # before any fault
        (100, {}, 0),  # at its very start
        (130, {}, 0),
        (160, {}, 0),  # the last second of grace
        (161, {}, None),
        (199, {}, None),
        (200, {}, 1),
        (99, {"muted": True}, None),
        (99, {"simulated": True}, None),
    ],
)
def test_whose_an_incident_is(opened: int, more: dict[str, Any], owner: int | None) -> None:
    stray = found("x", opened=opened, **more)
    board = compare(TRUTH, [stray])
    owned = [i for i, row in enumerate(board.rows) if "x" in row.incident_ids]
    assert owned == ([] if owner is None else [owner])
    assert board.false == ((stray,) if owner is None and not more else ())


def test_an_incident_goes_to_the_latest_fault_even_within_the_grace_of_the_one_before() -> None:
    close = [TRUTH[0], Committed(B, 145_000, 180_000)]
    board = compare(close, [GOOD_A, found("b", B.service, 150, 190)])
    assert board.ok


def test_a_false_incident_fails_the_board_and_a_simulated_one_does_not() -> None:
    assert not compare(TRUTH, [GOOD_A, GOOD_B, found("x", "host", 180)]).ok
    assert compare(TRUTH, [GOOD_A, GOOD_B, found("x", "host", 180, simulated=True)]).ok


def test_resolved_before_the_end_counts_as_at_once() -> None:
    assert compare(TRUTH, [replace(GOOD_A, resolved_ms=129_000)]).rows[0].resolved_after_ms == 0


def test_no_faults_is_not_a_pass() -> None:
    assert not compare([], []).ok


def test_a_fault_that_still_lasts_owns_what_opens() -> None:
    board = compare([Committed(A, 100_000)], [found(opened=500, resolved=None, state="open")])
    assert board.rows[0].incidents == 1
    assert board.rows[0].resolved_after_ms is None


def test_the_report_is_plain_json() -> None:
    data = json.loads(json.dumps(report(compare(TRUTH, [GOOD_A, found("x", "host", 180)]))))
    assert data["ok"] is False
    assert data["faults"][0]["ok"] is True
    assert data["faults"][0]["noticed_after_ms"] == 7_000
    assert data["faults"][1]["flaws"] == ["missed"]
    assert data["false_incidents"][0]["culprit"] == "host"


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_is_said_in_the_reader_s_language() -> None:
    chinese = {"Fault": "故障", "pass": "通过", "missed": "漏报"}
    console = Console(file=io.StringIO(), width=160, force_terminal=False)
    console.print(table(compare(TRUTH, [GOOD_A]), lambda text: chinese.get(text, text)))
    said = written(console)
    assert "故障" in said
    assert "通过" in said
    assert "漏报" in said
    assert "7.0 s" in said


def test_the_table_fits_a_terminal_and_shows_what_is_false_and_inert() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    stray = replace(found("x", "host", 180), title="[red]evil[/red]\x1b[2J")
    console.print(table(compare(TRUTH, [GOOD_A, GOOD_B, stray])))
    said = written(console)
    assert "[red]evil" in said
    assert "\x1b" not in said
    assert "…" not in said
    assert all(len(line) <= 80 for line in said.splitlines())
