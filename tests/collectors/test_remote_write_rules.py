"""What remote write's specifications say of single fields: a row for each rule, and its other side."""

from __future__ import annotations

import pytest

from collectors import remote_write1, remote_write2
from collectors.remote_messages import Histogram, Request1, Request2
from collectors.remote_series import Book
from tests.collectors.test_remote_write import NOW_MS


def test_a_native_histogram_with_no_room_for_le_is_refused_alone() -> None:
    sent = Histogram(count_int=1, sum=1, timestamp=NOW_MS, positive_deltas=[1])
    sent.positive_spans.add(offset=0, length=1)
    request = Request1()
    for number in (63, 62):
        series = request.timeseries.add(histograms=[sent.SerializeToString()])
        series.labels.add(name=b"__name__", value=b"took_seconds")
        for place in range(number):
            series.labels.add(name=b"l%02d" % place, value=b"x")
    push, reading = remote_write1.read(request.SerializeToString(), Book(), "s", parts_max=1_000)
    assert (reading.histograms_bad, len(reading.natives)) == (1, 1) and len(push.slots) == 36
    assert "timeseries/0: at most 64 labels" in reading.problems[0]


@pytest.mark.parametrize(
    ("kind", "series", "samples", "made"),
    [
        # Of the series until 2.0-rc.3, of the sample since rc.4 (Prometheus 3.8).
        (1, {"created_timestamp": NOW_MS - 9_000}, {}, [0.0]),
        (1, {}, {"start_timestamp": NOW_MS - 9_000}, [0.0]),
        (1, {"created_timestamp": NOW_MS - 9_999_999}, {"start_timestamp": NOW_MS - 9_000}, [0.0]),
        # Zero is "not set", ahead of the sample it is no beginning, and a gauge has none.
        (1, {}, {"start_timestamp": 0}, []),
        (1, {}, {"start_timestamp": NOW_MS + 1}, []),
        (1, {}, {"start_timestamp": -1}, []),
        (2, {}, {"start_timestamp": NOW_MS - 9_000}, []),
    ],
)
def test_where_a_counter_began_is_read_of_either_place(
    kind: int, series: dict[str, int], samples: dict[str, int], made: list[float]
) -> None:
    request = Request2(symbols=[b"", b"__name__", b"x_total"])
    one = request.timeseries.add(labels_refs=[1, 2], **series)
    one.metadata.type = kind
    one.samples.add(value=7.0, timestamp=NOW_MS, **samples)
    push, reading = remote_write2.read(request.SerializeToString(), Book(), "s", parts_max=100)
    assert sorted(push.values.tolist()) == [*made, 7.0] and reading.made == len(made)
