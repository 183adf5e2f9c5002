"""Grouping as text: what came, and what was said, to be read side by side."""

from __future__ import annotations

from typing import Any

import pytest

# One line each: "at SECOND service signal" fires, "end SECOND service signal" resolves,
# "say SECOND signal first-suspect alerts/firing" is what must be said, in order.
STORIES = {
    "a slow payment, from beginning to end": """
        at 0 payment latency
        at 2 checkout errors
        at 3 gateway latency
        say 10 opened payment 3/3
        end 60 payment latency
        end 62 checkout errors
        end 65 gateway latency
        say 60 changed payment 3/2
        say 90 changed payment 3/0
        say 185 quiet payment 3/0
    """,
    "the dead one is found after its callers complained": """
        at 0 cart errors
        at 1 checkout errors
        at 4 inventory availability
        say 10 opened inventory 3/3
    """,
    "two islands": """
        at 0 payment errors
        at 1 vault errors
        say 10 opened payment 1/1
        say 11 opened vault 1/1
    """,
    "one after the other, the same caller suffering": """
        at 0 search errors
        at 1 catalog errors
        say 10 opened search 2/2
        end 30 search errors
        end 31 catalog errors
        say 40 changed search 2/0
        say 151 quiet search 2/0
        at 400 inventory errors
        at 401 cart errors
        say 410 opened inventory 2/2
    """,
    "the cause comes to light late": """
        at 0 gateway errors
        say 10 opened gateway 1/1
        at 20 checkout errors
        say 20 joined checkout 2/2
        at 30 payment availability
        say 30 joined payment 3/3
    """,
}


@pytest.mark.parametrize("story", STORIES)
def test_story(desk: Any, story: str) -> None:
    lines = [line.split() for line in STORIES[story].split("\n") if line.strip()]
    firing: dict[tuple[str, str], Any] = {}
    events: dict[int, list[Any]] = {}
    for verb, second, *rest in lines:
        if verb == "say":
            continue
        what = (rest[0], rest[1])
        if verb == "at":
            firing[what] = desk.alert(*what, at=int(second))
            item = firing[what]
        else:
            item = desk.resolved(firing[what], end=int(second))
        events.setdefault(int(second), []).append(item)
    said = []
    for now_s in range(max(int(line[1]) for line in lines) + 1):
        for g in desk.at(now_s, *events.get(now_s, [])):
            numbers = f"{g.alert_count}/{g.firing_count}"
            said.append(["say", str(now_s), g.signal.value, g.services[0], numbers])
    assert said == sorted(
        (line for line in lines if line[0] == "say"), key=lambda line: int(line[1])
    )
