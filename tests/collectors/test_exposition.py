"""The text formats, line by line and body by body."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from collectors.exposition import Format, read_line
from collectors.layout import Layout, Scraped, merge_labels
from model.errors import InputError
from model.series import SeriesIndex

NOW = 1_700_000_000_000


def layout(**limits: Any) -> tuple[Layout, SeriesIndex]:
    index = SeriesIndex()
    return Layout(index, source="t", target={}, **limits), index


def as_dict(scraped: Scraped, index: SeriesIndex) -> dict[str, float]:
    values = scraped.values.tolist()
    return {str(index.labels(row)): v for row, v in zip(scraped.rows.tolist(), values, strict=True)}


@pytest.mark.parametrize(
    ("line", "form", "value", "time_ms"),
    [
        ("a 1", Format.TEXT, 1.0, None),
        ("a +Inf", Format.TEXT, math.inf, None),
        ("a -Inf", Format.TEXT, -math.inf, None),
        # A timestamp counts milliseconds here,
        ("a 1 1700000000000", Format.TEXT, 1.0, NOW),
        # and seconds there.
        ("a 1 1700000000.5", Format.OPENMETRICS, 1.0, NOW + 500),
        # An exemplar is passed over, with or without a timestamp before it.
        ('a{le="1"} 2 # {trace_id="x y"} 0.5 1', Format.OPENMETRICS, 2.0, None),
        ('a 2 3 # {trace_id="} 9"} 0.5', Format.OPENMETRICS, 2.0, 3000),
        ('a{x="y",} 1e3', Format.TEXT, 1000.0, None),
        ('a { x = "y" , } \t 1', Format.TEXT, 1.0, None),
        ("a 1\r", Format.TEXT, 1.0, None),
    ],
)
def test_good_lines(line: str, form: Format, value: float, time_ms: int | None) -> None:
    sample = read_line(line, form)
    assert (sample.value, sample.time_ms) == (value, time_ms)


def test_nan_and_escapes() -> None:
    sample = read_line(r'a{x="q\"b\\s\nn\d"} NaN', Format.TEXT)
    assert math.isnan(sample.value)
    assert sample.labels["x"] == 'q"b\\s\nn\\d'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a", "a space before the value"),
        ("a ", "a value"),
        ("a x", "a number"),
        ("a 1_000", "a number"),
        ("a ١", "a number"),
        ("a 1 2 3", "a value and perhaps a timestamp"),
        ("a 1 NaN", "a timestamp"),
        ("a 1 1e300", "a timestamp"),
        ('a{x="y" 1', 'label="value"'),
        ('a{x="y} 1', "label"),
        ("a{x=y} 1", "label"),
        ('a{x="1",x="2"} 1', "once"),
        ('{x="1"} 1', "a metric name"),
        ('a{"b"} 1', '="value"'),
        ("9a 1", "a metric name"),
        ('a{x="y"}1', "a space"),
    ],
)
def test_bad_lines_say_what_was_expected(line: str, expected: str) -> None:
    with pytest.raises(InputError, match="expected") as caught:
        read_line(line, Format.TEXT)
    assert expected in str(caught.value)


LABEL_VALUE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8
)
SERIES = st.tuples(
    st.sampled_from(["http_requests", "a:b", "_x"]),
    st.dictionaries(st.sampled_from(["path", "le", "job", "x_y"]), LABEL_VALUE, max_size=3),
)
VALUE = st.floats(allow_nan=False) | st.integers(-(10**9), 10**9).map(float)


def render(samples: dict[tuple[str, tuple[tuple[str, str], ...]], float], time: str = "") -> str:
    lines = []
    for (name, labels), value in samples.items():
        text = ",".join(
            '{}="{}"'.format(n, v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
            for n, v in labels
        )
        shown = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, repr(value))
        lines.append(f"{name}{{{text}}} {shown}{time}\n")
    return "".join(lines)


BODIES = st.lists(st.tuples(SERIES, VALUE), min_size=1, max_size=12).map(
    lambda items: {(name, tuple(sorted(labels.items()))): value for (name, labels), value in items}
)


@settings(deadline=None, max_examples=150)
@given(bodies=st.lists(BODIES, min_size=1, max_size=3), timed=st.booleans())
def test_twin_prometheus_client_reads_the_same(
    bodies: list[dict[tuple[str, tuple[tuple[str, str], ...]], float]], timed: bool
) -> None:
    mine, index = layout()
    for body in bodies:
        text = render(body, " 1700000000123" if timed else "")
        wanted: dict[tuple[tuple[str, str], ...], float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = {n: v for n, v in sample.labels.items() if v}
                key = tuple(sorted({**labels, "__name__": sample.name}.items()))
                wanted.setdefault(key, sample.value)
        for _ in range(2):  # anew, and by the layout of the first time
            scraped = mine.read(text.encode(), Format.TEXT, now_ms=NOW)
            assert scraped.bad == 0
            rows, values = scraped.rows.tolist(), scraped.values.tolist()
            found: dict[tuple[tuple[str, str], ...], float] = {}
            for row, value in zip(rows, values, strict=True):
                found.setdefault(index.labels(row).pairs, value)
            assert found == wanted
            if timed:
                assert scraped.times_ms is not None
                assert set(scraped.times_ms.tolist()) == {1_700_000_000_123}


def test_twin_openmetrics_with_everything() -> None:
    text = (
        "# TYPE req counter\n# UNIT req \n# HELP req help\n"
        'req_total{path="/a b} c"} 3 # {trace_id="abc"} 1 1700000000.1\n'
        'req_created{path="/a b} c"} 1700000000\n'
        "# TYPE lat histogram\n"
        'lat_bucket{le="0.5"} 1 # {trace_id="d"} 0.3\nlat_bucket{le="+Inf"} 2\nlat_count 2\nlat_sum 0.9\n'
        "# EOF\n"
    )
    wanted = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in openmetrics_parser.text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    mine, index = layout()
    for _ in range(2):
        scraped = mine.read(text.encode(), Format.OPENMETRICS, now_ms=NOW)
        found = {
            (index.labels(row)["__name__"], *index.labels(row).without("__name__").pairs): value
            for row, value in zip(scraped.rows.tolist(), scraped.values.tolist(), strict=True)
        }
        assert found == wanted
        assert not scraped.truncated
    assert index.kind("req_total") == index.kind("req") == "counter"
    assert mine.read(text[:-6].encode(), Format.OPENMETRICS, now_ms=NOW).truncated


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300), st.sampled_from(list(Format)))
def test_junk_never_raises(body: bytes, form: Format) -> None:
    mine, _ = layout()
    first = mine.read(body, form, now_ms=NOW)
    again = mine.read(body, form, now_ms=NOW)
    assert first.bad == again.bad
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_array_equal(first.values, again.values)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.lists(
            st.sampled_from(
                [
                    "a 1",
                    "a 2",
                    'a{x="1"} 3',
                    "b 4 1700000000000",
                    "# TYPE a gauge",
                    "bad",
                    "a 1_0",
                    "",
                    " c 5",
                ]
            ),
            max_size=6,
        ),
        max_size=5,
    )
)
def test_twin_a_layout_reads_as_a_fresh_one(bodies: list[list[str]]) -> None:
    kept, kept_index = layout()
    for lines in bodies:
        body = "\n".join(lines).encode()
        fresh, fresh_index = layout()
        one, two = kept.read(body, Format.TEXT, now_ms=0), fresh.read(body, Format.TEXT, now_ms=0)
        assert as_dict(one, kept_index) == as_dict(two, fresh_index)
        assert (one.bad, one.duplicates, one.lines) == (two.bad, two.duplicates, two.lines)


def test_blanks_before_a_comment_are_ignored_as_before_a_sample() -> None:
    index = SeriesIndex()
    layout = Layout(index, source="t", target={})
    body = b'  # HELP a x\n \t# TYPE a_total counter\n  a_total 1\n \t\n # TYPE "b c" gauge\n'
    for _ in range(2):
        found = layout.read(body, Format.TEXT, now_ms=0)
        assert (found.bad, found.values.tolist()) == (0, [1.0])
    assert (index.kind("a_total"), index.kind("b c")) == ("counter", "gauge")


def test_a03_nul_in_a_label_is_a_bad_line_and_the_rest_is_read() -> None:
    layout = Layout(SeriesIndex(), source="t", target={"job": "shop"})
    for _ in range(2):
        found = layout.read(b'up{service="a\0b"} 1\nup{x="y"} 2\n', Format.TEXT, now_ms=0)
        assert (found.bad, found.values.tolist()) == (1, [2.0])
    assert found.problem is not None and "NUL is not allowed" in found.problem.text()


def test_bad_line_is_named_and_the_rest_read() -> None:
    mine, index = layout()
    scraped = mine.read(b"a 1\nb{ 2\nc x\nd 4\n", Format.TEXT, now_ms=NOW)
    assert as_dict(scraped, index) == {'{__name__="a"}': 1.0, '{__name__="d"}': 4.0}
    assert scraped.bad == 2
    assert scraped.problem is not None
    assert scraped.problem.text().startswith("line 2: expected")


def test_what_vanishes_is_gone_but_not_with_its_own_timestamps() -> None:
    mine, index = layout()
    mine.read(b"a 1\nb 2\nc 3 1700000000000\n", Format.TEXT, now_ms=NOW)
    scraped = mine.read(b"a 1\n", Format.TEXT, now_ms=NOW)
    assert [str(index.labels(row)) for row in scraped.gone.tolist()] == ['{__name__="b"}']
    assert mine.read(b"a 1\n", Format.TEXT, now_ms=NOW).gone.tolist() == []
    assert mine.fail().tolist() == scraped.rows.tolist()
    assert mine.read(b"a 1\n", Format.TEXT, now_ms=NOW).gone.tolist() == []


def test_created_gauge_is_dropped_only_beside_its_counter() -> None:
    mine, index = layout()
    text = b"# TYPE x counter\nx_total 1\n# TYPE x_created gauge\nx_created 5\nkube_pod_created 7\n"
    scraped = mine.read(text, Format.TEXT, now_ms=NOW)
    assert [index.labels(row)["__name__"] for row in scraped.rows] == [
        "x_total",
        "kube_pod_created",
    ]


def test_a23_random_labels_stop_at_the_cap_and_cost_nobody_else() -> None:
    index = SeriesIndex(per_source_max=1_000)
    bad = Layout(index, source="bad", target={}, series_max=50)
    good = Layout(index, source="good", target={})
    for scrape in range(3):
        body = "".join(f'x{{id="{scrape}-{n}"}} 1\n' for n in range(200)).encode()
        scraped = bad.read(body, Format.TEXT, now_ms=NOW)
        assert len(scraped.rows) == 50
        assert scraped.refused == 150
    assert len(good.read(b"up 1\n", Format.TEXT, now_ms=NOW).rows) == 1
    many = Layout(index, source="bad", target={})
    lines = "".join(f"y_{n} 1\n" for n in range(2_000)).encode()
    assert len(many.read(lines, Format.TEXT, now_ms=NOW).rows) == 1_000 - 150


def test_labels_beyond_limits_are_bad_lines() -> None:
    mine, _ = layout(labels_max=2, label_chars_max=10)
    text = b'a{x="1"} 1\na{x="1",y="2"} 1\na{x="12345678901"} 1\n'
    scraped = mine.read(text, Format.TEXT, now_ms=NOW)
    assert (len(scraped.rows), scraped.bad) == (1, 2)


def test_evicted_rows_are_forgotten() -> None:
    mine, index = layout()
    index.on_evict(mine.forget)
    mine.read(b"a 1\n", Format.TEXT, now_ms=1)
    index.evict_stale(2)
    scraped = mine.read(b"b 1\na 1\n", Format.TEXT, now_ms=3)
    assert sorted(as_dict(scraped, index)) == ['{__name__="a"}', '{__name__="b"}']


@pytest.mark.parametrize(
    ("honor", "merged"),
    [
        (True, {"job": "sent", "instance": "i"}),
        (False, {"job": "ours", "instance": "i", "exported_job": "sent"}),
    ],
)
def test_label_clashes(honor: bool, merged: dict[str, str]) -> None:
    target = {"job": "ours", "instance": "i"}
    assert merge_labels({"job": "sent"}, target, honor_labels=honor) == merged
