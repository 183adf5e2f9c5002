"""The scenario language: what it reads, and every mistake at its place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import is_stale
from model.errors import InputError
from pipeline.notation import parse_labels, parse_values
from pipeline.problems import ConfigurationError
from pipeline.scenario_file import parse
from pipeline.scenario_words import Check, Input, Words, parse_statement

GOOD = """\
# Two replicas fail together.
# More about it.
settings
    # A comment in YAML.
    correlator:
        group_wait: 30s

load 10s
    up{job="pg", instance="db1"}   1x5 0x11 1x20   # back at 180s
    up{job="pg", instance="db#2"}  1x5 0x5  1x26

# Between the blocks.
at 60s
    push   Down{service="pg"} firing from am expires 5m
# not indented
    change deploy pg "v2 \\"final\\""
    alert  InstanceDown{instance="db1"} firing

    ticket none
at 1m30s
    ticket OPS-1 open, 2 alerts
"""


def test_a_file_is_read() -> None:
    scenario = parse(GOOD, "x.scenario")
    assert scenario.title == "Two replicas fail together."
    assert [(b.name, b.line, b.text) for b in scenario.blocks] == [
        ("settings", 4, "\ncorrelator:\n    group_wait: 30s\n\n")
    ]
    assert [str(s.labels) for s in scenario.series] == [
        '{__name__="up", instance="db1", job="pg"}',
        '{__name__="up", instance="db#2", job="pg"}',
    ]
    # As the example means it: both series are equally long.
    assert {len(s.values) for s in scenario.series} == {39}
    assert [(m.at_ms, len(m.inputs), len(m.checks)) for m in scenario.moments] == [
        (60_000, 2, 2),
        (90_000, 0, 1),
    ]
    push, change = scenario.moments[0].inputs
    assert (push.word, push.actor, push.duration_ms) == ("firing", "am", 300_000)
    assert (change.word, change.target, change.text) == ("deploy", "pg", 'v2 "final"')
    assert scenario.ends_ms == 90_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # Every mistake, in the order of the file.
        (
            "lod 10s\n    up 1x5\nload 10\n    up{job=pg} 1x5\n    up 1y5\nat 1m\n    tiket none\n",
            [
                '1:1: must be one of the blocks "settings"',
                '3:6: must be a duration such as "30s"',
                '4:5: must be labels such as job="pg"',
                '5:5: must be samples such as 3, 1x5, 1+2x10, _x3, stale or NaN, got "1y5"',
                "7:5: must be one of push, change",
            ],
        ),
        ("    at 1m\n", ["1:5: indented, but under no block"]),
        ("load 10s\n    up 1\n", ["1:1: expects nothing"]),
        ("at 1m\n", ['1:1: nothing under "at 1m"']),
        # Times go forward.
        ("at 2m\n    page none\nat 1m\n    page none\n", ['3:1: "at" blocks stand in order']),
        # An expectation in between would be of nobody knows when.
        ("at 1m\n    page none\n    desk down\n", ["3:1: what happens stands before"]),
        ("at 1m\n    desk sideways\n", ['2:10: must be one of down, up, got "sideways"']),
        ("at 1m\n    incident open opn\n", ['2:19: must be ","']),
        ("at 1m\n    incident open, opn\n", ["2:20: must be one of open, acknowledged"]),
        ("at 1m\n    incident\n", ["2:13: needs a count, none, or a fact"]),
        ("at 1m\n    silence {a=~\"(\"} for 1h\n", ["2:13: "]),
        ("at 1m\n    alert X{a=\"1\",a=\"2\"} firing\n", ['2:12: label "a" is given twice']),
        ("at 1m\n    page 1 why\n", ["2:15: must be the why, got 'the end of the line'"]),
        ("at 1m\n    ticket OPS-1 open extra\n", ['2:23: must be ","']),
        ("at 1m\n    change deploy shop v2\n", ["2:24: must be its title in quotes, got 'v2'"]),
        ("settings\n    a: 1\nsettings\n    a: 2\nat 1m\n    page none\n", ['3:1: a second block']),
        ("load 10s\n    up 1x9999999\nat 1m\n    page none\n", ["2:5: at most 1000000 samples"]),
        ("load 0\n    up 1\nat 500d\n    page none\n", ["1:6: out of range", "3:4: out of range"]),
    ],
)  # fmt: skip
def test_mistakes_have_places(text: str, message: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "x.scenario")
    found = [str(problem) for problem in caught.value.problems]
    assert len(found) == len(message)
    for got, wanted in zip(found, message, strict=True):
        assert got.startswith("x.scenario:" + wanted)


@pytest.mark.parametrize(
    ("line", "count", "facts"),
    [
        ("ticket none", 0, {}),
        ("tickets 2 open", 2, {"state": "open"}),
        # A number before "alerts" is a fact, not a count.
        ("ticket 2 alerts", None, {"alerts": "2"}),
        ("incident 1 open, 2 alerts, 1 firing, cause pg, priority P1", 1, {"state": "open", "alerts": "2", "firing": "1", "cause": "pg", "priority": "P1"}),
        ("incident flapping", None, {"flapping": "yes"}),
        ('incident title "a, b"', None, {"title": "a, b"}),
        ("pages 3 why repeat, to ops", 3, {"why": "repeat", "to": "ops"}),
        ("alert Down none", 0, {"name": "Down"}),
        ("alert Down silenced", None, {"name": "Down", "silenced": "silenced"}),
        ("sla response warned 50%", None, {"of": "response", "warned": "50%"}),
    ],
)  # fmt: skip
def test_expectations(line: str, count: int | None, facts: dict[str, str]) -> None:
    check = parse_statement(Words(line, 1))
    assert isinstance(check, Check)
    assert (check.count, dict(check.facts)) == (count, facts)


def test_silences_take_matchers_with_commas() -> None:
    silence = parse_statement(Words('silence {a="1,2", b=~"x|y"} for 1h', 1))
    assert isinstance(silence, Input)
    assert [str(m) for m in silence.matchers] == ['a="1,2"', 'b=~"x|y"']


def test_stale_ends_a_series_and_nan_does_not() -> None:
    values, present = parse_values("1 NaN stale _")
    assert is_stale(values).tolist() == [False, False, True, False]
    assert present.tolist() == [1, 1, 1, 0]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(-99, 99), st.integers(-9, 9), st.integers(0, 20)),
        min_size=1,
        max_size=8,
    )
)
def test_runs_are_what_the_loop_says(runs: list[tuple[int, int, int]]) -> None:
    """Naive twin: count them out."""
    text = " ".join(f"{start}{by:+d}x{count}" for start, by, count in runs)
    wanted = [start + by * i for start, by, count in runs for i in range(count + 1)]
    values, present = parse_values(text)
    assert values.tolist() == wanted
    assert np.all(present == 1)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="at 1m\n#{}=\",x0_load push{}'é\\", max_size=80))
def test_any_text_is_read_or_refused_with_places(text: str) -> None:
    try:
        parse(text, "x.scenario")
    except ConfigurationError as error:
        assert all(problem.line >= 1 and problem.column >= 1 for problem in error.problems)


@pytest.mark.parametrize("text", ["a", "a=b", 'a="b" c="d"', 'a="b"x'])
def test_labels_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_labels(text)
