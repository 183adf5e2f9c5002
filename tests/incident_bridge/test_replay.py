"""Whatever comes in whatever order: a restart changes nothing, and what must hold always holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from incident_bridge.bridge import Bridge, Bridged
from incident_bridge.routing import build
from incident_bridge.settings import BridgeSettings, RouteSettings, SlaPolicy, SlaSettings
from model.action import ActionKind
from model.alert import Severity
from model.catalogue import Catalogue, Service
from model.identity import derive_id
from model.incident import Act, ActKind, Grouping, Signal
from model.reason import because

MINUTE_MS = 60_000
ROUTE = RouteSettings(
    receiver="console",
    desks=("builtin", "other"),
    repeat_interval_ms=20 * MINUTE_MS,
    escalate_after_ms=10 * MINUTE_MS,
    escalate_to=("boss",),
)
SLA = SlaSettings((SlaPolicy(response_ms=15 * MINUTE_MS, resolution_ms=50 * MINUTE_MS),))
SHOP = Catalogue.of([Service("cart", 1, "web"), Service("db", 2, "dba")])

SIGNALS = st.tuples(
    st.just("group"),
    st.sampled_from(["i1", "i2"]),
    st.sampled_from([s for s in Signal if s is not Signal.MERGED]),
    st.booleans(),
)
MERGES = st.tuples(st.just("merge"), st.just("i2"))
ACTS = st.tuples(st.just("act"), st.sampled_from(["i1", "i2", "i3"]), st.sampled_from(ActKind))
WAITS = st.tuples(st.just("wait"), st.sampled_from([1, 30_000, 7 * MINUTE_MS, 31 * MINUTE_MS]))
SCRIPTS = st.lists(st.one_of(SIGNALS, SIGNALS, ACTS, WAITS, MERGES), max_size=25)

Script = list[tuple[Any, ...]]
"""Steps: what comes, and of which incident."""


def _bridge() -> Bridge:
    return Bridge(BridgeSettings(), SHOP, build(ROUTE), SLA)


def _grouping(ident: str, signal: Signal, muted: bool, now_ms: int) -> Grouping:
    quiet = signal is Signal.QUIET
    grouping = Grouping(
        ident,
        signal,
        now_ms,
        now_ms - 5,
        now_ms,
        Severity.CRITICAL,
        because("t"),
        because("r"),
        ("cart",),
    )
    return replace(
        grouping,
        alert_count=2,
        firing_count=0 if quiet else 1,
        quiet_ms=now_ms - 3 if quiet else None,
        muted=muted,
    )


def _play(
    script: Script,
    *,
    restarting: bool,
) -> list[Bridged]:
    bridge, now_ms, outs = _bridge(), 1_700_000_000_000, []
    for number, step in enumerate(script):
        groupings, acts = [], []
        if step[0] == "group":
            groupings = [_grouping(step[1], step[2], step[3], now_ms)]
        elif step[0] == "merge":
            merged = _grouping(step[1], Signal.MERGED, False, now_ms)
            groupings = [replace(merged, merged_into="i1")]
        elif step[0] == "act":
            acts = [Act(f"a{number}", step[1], step[2], "ann", now_ms, "P1")]
        else:
            now_ms += step[1]
        outs += [bridge.take(groupings, acts, now_ms=now_ms), bridge.step(now_ms)]
        if restarting:
            saved = bridge.save()
            bridge = _bridge()
            bridge.load(saved)
    return outs


@settings(deadline=None, max_examples=60)
@given(SCRIPTS)
def test_a_restart_after_any_step_changes_nothing(
    script: Script,
) -> None:
    assert _play(script, restarting=True) == _play(script, restarting=False)


@settings(deadline=None, max_examples=60)
@given(SCRIPTS)
def test_what_must_always_hold(
    script: Script,
) -> None:
    outs = _play(script, restarting=False)
    actions = [action for out in outs for action in out.actions]
    assert len({action.id for action in actions}) == len(actions)
    lanes: dict[str, list[int]] = {}
    for action in actions:
        lanes.setdefault(action.lane, []).append(action.sequence)
    for lane, sequences in lanes.items():
        assert sequences == list(range(1, len(sequences) + 1)), lane
    created = [a.lane for a in actions if a.kind is ActionKind.TICKET_CREATE]
    assert len(set(created)) == len(created)
    opened = [a.lane for a in actions if a.page is not None and a.page.why == "opened"]
    assert len(set(opened)) == len(opened)
    for out in outs:
        for incident in out.incidents:
            for time_ms in (incident.acknowledged_ms, incident.resolved_ms, incident.closed_ms):
                assert time_ms is None or time_ms >= incident.opened_ms >= incident.began_ms
            assert incident.state.active == (incident.resolved_ms is None)
        for clock in out.clocks:
            assert clock.elapsed_ms >= 0
            assert clock.stopped_ms is None or not clock.running
    ids = [entry.id for out in outs for entry in out.entries]
    assert all(len(ident) == len(derive_id("x")) for ident in ids)
