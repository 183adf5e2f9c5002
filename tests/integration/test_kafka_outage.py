"""Ten minutes without a broker (F22): begun at the start of the session (conftest.py), looked at here, at its end."""

from __future__ import annotations

import pytest

from tests.integration.outage import WITHOUT_S, Experiment

pytestmark = pytest.mark.integration


def test_f22_ten_minutes_without_a_broker(the_outage: Experiment) -> None:
    the_outage.join(WITHOUT_S + 1_800)
    seen = the_outage.seen
    if seen.error is not None:
        raise seen.error
    assert not the_outage.is_alive()
    assert seen.without_s == pytest.approx(WITHOUT_S)
    print("processor seconds without a broker:", seen.cpu_s)
    # The storm ends as if nothing had happened.
    assert seen.storm_differs == set()
    # Pushes are refused, so that senders keep them, and taken as soon as there is a broker.
    assert seen.pushed_without == [503, 503, 503]
    assert (seen.pushed_before, seen.pushed_after) == (200, 200)
    # Nobody is told of anything that was not pushed. What was refused last may have reached the broker after all:
    # a client of Kafka tries for a while longer than its sender waits for an answer.
    assert {"Down pg", "Down mail"} <= seen.told <= {"Down pg", "Down web", "Down mail"}
    assert seen.incidents == len(seen.told)
    assert seen.all_running
