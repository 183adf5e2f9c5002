"""The director in virtual time, with a shop and a pipeline that only write down what they are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from model.change import Change
from model.clock import ManualClock
from model.errors import TransientError
from pipeline.demo.director import Director, Pace
from pipeline.demo.faults import FAULTS, Fault
from pipeline.demo.mischief import Order
from pipeline.demo.scoreboard import Committed, Found, compare

BY_NAME = {fault.name: fault for fault in FAULTS}


@dataclass
class Stage:
    """Shop and pipeline in one: notices a fault after 5 s, resolves 10 s after its end."""

    clock: ManualClock
    deaf: bool = False
    stubborn: bool = False
    failing_until_ms: int = 0
    said: list[str] = field(default_factory=list)
    incident: list[Found] = field(default_factory=list)
    began_ms: int | None = None
    ended_ms: int | None = None

    def order(self, service: str, orders: Sequence[Order]) -> None:
        faults = [order.kind for order in orders if order.kind != "version"]
        self._on(service) if faults else self._off(service)

    def kill(self, service: str) -> None:
        self._on(service)

    def revive(self, service: str) -> None:
        self._off(service)

    def announce(self, change: Change) -> None:
        self.said.append(f"{change.kind} {change.service}")

    def acknowledge(self, incident_id: str, text: str) -> None:
        self.said.append(f"acknowledge {incident_id}")

    def incidents(self) -> list[Found]:
        now_ms = self.clock.now_ms()
        if now_ms < self.failing_until_ms:
            raise TransientError("busy")
        if self.began_ms is not None and not self.deaf and now_ms >= self.began_ms + 5_000:
            self._open(self.began_ms + 5_000)
            self.began_ms = None
        done = self.ended_ms is not None and now_ms >= self.ended_ms + 10_000
        if done and self.incident and not self.stubborn:
            self._close(now_ms)
        return list(self.incident)

    def _on(self, service: str) -> None:
        self.said.append(f"on {service}")
        self.service, self.began_ms, self.ended_ms = service, self.clock.now_ms(), None

    def _off(self, service: str) -> None:
        self.said.append(f"off {service}")
        self.ended_ms = self.clock.now_ms()

    def _open(self, opened_ms: int) -> None:
        number = f"i{len(self.incident)}"
        self.incident.append(Found(number, self.service, "t", "open", opened_ms, None, 1, 0, 1))

    def _close(self, now_ms: int) -> None:
        last = self.incident[-1]
        if last.resolved_ms is None:
            self.incident[-1] = replace(last, state="closed", resolved_ms=now_ms, tickets_closed=1)


def play(stage: Stage, *wanted: Fault, **more: Any) -> Director:
    director = Director(stage, stage, stage.clock, **more)
    director.run(wanted)
    return director


def end_of(fact: Committed) -> int:
    assert fact.ended_ms is not None
    return fact.ended_ms


def took(fact: Committed) -> int:
    return end_of(fact) - fact.started_ms


@pytest.fixture
def stage() -> Stage:
    return Stage(ManualClock(1_000_000))


def test_a_fault_begins_lasts_ends_and_is_waited_out(stage: Stage) -> None:
    director = play(stage, BY_NAME["latency"])
    (fact,) = director.committed
    assert took(fact) == 32_000
    assert stage.clock.now_ms() - end_of(fact) == 10_000
    assert stage.said == ["on search", "off search"]
    assert compare(director.committed, stage.incidents()).ok


def test_between_faults_there_is_a_pause(stage: Stage) -> None:
    director = play(stage, BY_NAME["kill"], BY_NAME["cpu"])
    first, second = director.committed
    assert second.started_ms - end_of(first) == 10_000 + 12_000


def test_a_fault_that_needs_it_is_acknowledged_and_ends_then(stage: Stage) -> None:
    director = play(stage, BY_NAME["deploy"])
    (fact,) = director.committed
    assert stage.said == [
        "deploy payment",
        "on payment",
        "acknowledge i0",
        "off payment",
        "rollback payment",
    ]
    assert took(fact) == 5_000 + 8_000


def test_an_unnoticed_fault_ends_in_time_and_is_missed(stage: Stage) -> None:
    stage.deaf = True
    director = play(stage, BY_NAME["deploy"])
    (fact,) = director.committed
    assert took(fact) == 60_000
    assert "rollback payment" in stage.said
    assert not compare(director.committed, stage.incidents()).ok


def test_an_incident_that_never_resolves_does_not_hold_up_the_next_fault_for_ever(
    stage: Stage,
) -> None:
    stage.stubborn = True
    director = play(stage, BY_NAME["kill"], BY_NAME["cpu"])
    first, second = director.committed
    assert second.started_ms - end_of(first) == 60_000 + 12_000


def test_an_incident_of_something_else_holds_up_nobody(stage: Stage) -> None:
    stage.incident.append(Found("stray", "host", "t", "open", 900_000))
    director = play(stage, BY_NAME["kill"], BY_NAME["cpu"])
    first, second = director.committed
    assert second.started_ms - end_of(first) == 10_000 + 12_000


def test_a_pipeline_that_is_busy_is_asked_again(stage: Stage) -> None:
    stage.failing_until_ms = 1_020_000
    director = play(stage, BY_NAME["latency"])
    assert compare(director.committed, stage.incidents()).ok


def test_a_demo_that_is_stopped_takes_its_fault_back(stage: Stage) -> None:
    director = play(
        stage,
        BY_NAME["latency"],
        BY_NAME["cpu"],
        stopping=lambda: stage.clock.now_ms() >= 1_010_000,
    )
    assert stage.said == ["on search", "off search"]
    assert len(director.committed) == 1
    assert stage.clock.now_ms() == 1_010_000


def test_it_tells_what_happens(stage: Stage) -> None:
    told: list[str] = []
    play(stage, BY_NAME["deploy"], tell=lambda reason: told.append(reason.text()))
    assert [line.split(":")[0] for line in told] == [
        "Fault deploy",
        "Noticed after 5.0 s",
        "Acknowledged by the demo's responder",
        "Fault deploy has ended",
    ]


def test_the_whole_programme_fits_into_its_time(stage: Stage) -> None:
    """Even if every fault resolves only 20 s after its end: 12 minutes less 30 s and 90 s at the start."""
    play(stage, *FAULTS, pace=Pace(calm_max_s=20.0))
    worst_s = sum(f.duration_s for f in FAULTS) + len(FAULTS) * (20 + Pace().settle_s)
    assert (stage.clock.now_ms() - 1_000_000) / 1000 <= worst_s < 600
