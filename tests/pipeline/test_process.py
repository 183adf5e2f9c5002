"""A real process is killed at bad moments: nothing accepted is lost, nothing is done twice."""

from __future__ import annotations

import threading

from benchmarks.process import Outside
from tests.pipeline.running import Running, until


def _nothing_doubled(outside: Outside) -> None:
    with outside.lock:
        assert all(len(numbers) == 1 for numbers in outside.tickets.values()), outside.tickets
        said = [what for what, _ in outside.keys]
        assert len(said) == len(set(said)), "a page was sent under two keys"


def test_f01_killed_right_after_it_accepted(tocsin: Running, outside: Outside) -> None:
    tocsin.outside(outside)
    tocsin.start()
    accepted: set[str] = set()
    for number in range(2):
        names = [f"Broken{number}{letter}" for letter in "abc"]
        assert tocsin.push(*names, service=f"s{number}") == 200
        tocsin.kill()
        accepted.update(names)
        tocsin.start()
    tocsin.settled()
    found = tocsin.rows(
        "SELECT json_extract(alerts.body, '$.alert.labels.alertname') FROM alerts"
        " JOIN incidents ON incidents.id = alerts.incident_id"
    )
    assert {name for (name,) in found} == accepted
    assert len(outside.tickets) == len(tocsin.incidents())
    _nothing_doubled(outside)


def test_f02_killed_between_the_others_answer_and_our_commit(
    tocsin: Running, outside: Outside
) -> None:
    tocsin.outside(outside)
    tocsin.start()
    killed: list[str] = []
    started = threading.Event()
    started.set()

    def kill(path: str) -> None:
        if path not in killed:
            started.wait()
            tocsin.kill()  # the ticket is there, the page is out; we never hear of it
            killed.append(path)

    def dead() -> bool:
        return tocsin.process is not None and tocsin.process.poll() is not None

    outside.before_answer = kill
    tocsin.push("Broken", service="s0")
    until(dead, "the first kill")
    started.clear()
    tocsin.start()
    started.set()
    until(lambda: len(killed) == 2, "the second kill")  # perhaps both were of the same life
    if dead():
        tocsin.start()
    assert sorted(killed) == ["/desk", "/pager"]
    tocsin.settled()
    _nothing_doubled(outside)
    (incident,) = tocsin.incidents()
    assert list(outside.tickets) == [incident["id"]]
    # The page came again, under the key by which the other side knows it.
    assert list(outside.pages.values()) == [2]
    assert incident["tickets"][0]["number"] == "T-1"
