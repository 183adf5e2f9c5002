"""The waiting room: alerts that have no incident yet, until the first of their neighbours is due."""

from __future__ import annotations

from correlator.topology import Topology

Seat = tuple[str, bool]
"""A place, and whether its alerts are simulated: the two never mix."""


class Waiting:
    """Keys by place, each with the time at which it may wait no longer."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._seats: dict[Seat, dict[str, int]] = {}
        self._first: dict[Seat, int] = {}
        self._unsure: dict[Seat, None] = {}

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._seats.values())

    def put(self, seat: Seat, key: str, due_ms: int) -> None:
        """Let one wait."""
        self._seats.setdefault(seat, {})[key] = due_ms
        self._first[seat] = min(due_ms, self._first.get(seat, due_ms))

    def drop(self, seat: Seat, key: str) -> None:
        """One has resolved before it opened anything."""
        keys = self._seats.get(seat)
        if keys is None or keys.pop(key, None) is None:
            return
        self._unsure[seat] = None

    def due(self, now_ms: int) -> list[list[str]]:
        """Take out every group of connected alerts of which one may wait no longer."""
        self._make_sure()
        if not self._first or now_ms < min(self._first.values()):
            return []
        groups = []
        for seat in sorted(self._first, key=lambda s: (self._first[s], s)):
            if seat in self._seats and self._first[seat] <= now_ms:
                groups.append(self._take(self._connected(seat)))
        self._first = {seat: self._first[seat] for seat in self._seats}
        return groups

    def _make_sure(self) -> None:
        for seat in self._unsure:
            keys = self._seats.get(seat)
            if keys:
                self._first[seat] = min(keys.values())
            elif keys is not None:
                del self._seats[seat], self._first[seat]
        self._unsure.clear()

    def _connected(self, start: Seat) -> list[Seat]:
        simulated = start[1]
        ground = sorted(
            s for s in self._seats if s[1] == simulated and self._topology.is_ground(s[0])
        )
        if start in ground:
            # What stands on the host opens with it; the earliest, if several unconnected do.
            others = [s for s in self._seats if s[1] == simulated and s not in ground]
            if not others:
                return ground
            start = min(others, key=lambda s: (self._first[s], s))
        found, edge = {start: None}, [start]
        while edge:
            edge = [
                (name, simulated)
                for place, _ in edge
                for name, _ in self._topology.near(place)
                if (name, simulated) in self._seats and (name, simulated) not in found
            ]
            found.update(dict.fromkeys(edge))
        return [*found, *ground]

    def _take(self, seats: list[Seat]) -> list[str]:
        return sorted(key for seat in dict.fromkeys(seats) for key in self._seats.pop(seat))
