"""Acts on what has become part of another incident."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model.codec import decode
from model.incident import Act, Incident, IncidentState
from store import incidents


@pytest.fixture
def filled(house: Any, seed: Any) -> Any:
    seed.fill(house.store)
    return house


def merged(filled: Any) -> tuple[Incident, Incident]:
    """An incident merged into one that was merged into the open one of the seed; the first and the last."""
    with filled.store.records.write() as conn:
        (open_one, *_) = [i for i in incidents.active(conn) if i.state is IncidentState.OPEN]
        middle = replace(open_one, id="middle", state=IncidentState.MERGED, merged_into=open_one.id)
        first = replace(middle, id="first", merged_into="middle")
        incidents.save(conn, [middle, first])
    return first, open_one


def test_an_acknowledgement_counts_where_it_goes_on(filled: Any) -> None:
    first, last = merged(filled)
    answer = filled.client().post(f"/api/v1/incidents/{first.id}/acts", json={"act": "acknowledge"})
    assert answer.status_code == 202, answer.text
    assert decode(Act, filled.submitted[-1].body).incident_id == last.id


def test_what_ends_it_is_not_guessed(filled: Any) -> None:
    first, _ = merged(filled)
    answer = filled.client().post(f"/api/v1/incidents/{first.id}/acts", json={"act": "close"})
    assert answer.status_code == 403
    assert "merged into middle" in answer.text
