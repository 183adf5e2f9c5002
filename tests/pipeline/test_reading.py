"""Every problem at once, each at its line and column, with how to mend it."""

from dataclasses import dataclass, field

import pytest

from model.labels import Matcher
from model.units import Milliseconds, SizeBytes
from pipeline.positions import parse
from pipeline.reading import read
from pipeline.settings import PipelineSettings


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    timeout_ms: Milliseconds = 1000
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Grouping:
    group_wait_ms: Milliseconds = 1
    pause_ms: Milliseconds | None = None
    body_bytes_max: SizeBytes = 4
    match: tuple[Matcher, ...] = ()

    def __post_init__(self) -> None:
        if self.group_wait_ms > 100_000:
            raise ValueError("group_wait must be at most 100s")


@dataclass(frozen=True)
class Root:
    correlator: Grouping = Grouping()
    targets: tuple[Target, ...] = ()
    count: int = 1
    quiet: bool = False


GOOD = """
correlator:
  group_wait: 3s
  pause: 5m
  body_max: 2MiB
  match: [a=b]
targets:
- url: x
  timeout: 5s
"""


def test_units_are_read_into_fields() -> None:
    document = parse(GOOD, "f.yaml")
    root = read(Root, document)
    assert document.problems == []
    assert root == Root(
        Grouping(3_000, 300_000, 2 * 2**20, (Matcher.parse("a=b"),)), (Target("x", 5_000),)
    )


def test_an_empty_file_is_all_defaults() -> None:
    assert read(Root, parse("", "f.yaml")) == Root()
    assert read(Root, parse("correlator:\n", "f.yaml")) == Root()


# One row per kind of mistake: the text, and the exact line it earns.
@pytest.mark.parametrize(
    ("text", "earned"),
    [
        (
            "correlator:\n  group_wait: 30 seconds\n",
            'f.yaml:2:15: correlator.group_wait: must be a duration such as "30s" or "1h30m", got \'30 seconds\'',
        ),
        (
            "correlator:\n  group_waitt: 3s\n",
            'f.yaml:2:3: correlator.group_waitt: unknown key; did you mean "group_wait"?',
        ),
        (
            "correlator:\n  group_wait: 1h\n",
            "f.yaml:2:15: correlator.group_wait: group_wait must be at most 100s",
        ),
        (
            "count: foo\n",
            "f.yaml:1:8: count: must be a valid integer, unable to parse string as an integer, got 'foo'",
        ),
        ("quiet: maybe\n", "f.yaml:1:8: quiet: must be true or false, got 'maybe'"),
        ("targets: x\n", "f.yaml:1:10: targets: must be a list, got 'x'"),
        ("targets:\n- timeout: 5s\n", 'f.yaml:2:3: targets[0].url: needs the key "url"'),
        ("count: 1\ncount: 2\n", "f.yaml:2:1: count: the key stands twice (first on line 1)"),
        ("count: [1\n", "f.yaml:2:1: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("targets: &a []\nx: *a\n", "f.yaml:2:4: aliases are not allowed"),
        (
            "count: !!python/object:os.system 1\n",
            "f.yaml:1:8: count: tag tag:yaml.org,2002:python/object:os.system is not allowed",
        ),
    ],
)
def test_a_mistake_earns_its_line(text: str, earned: str) -> None:
    document = parse(text, "f.yaml")
    read(Root, document)
    assert [str(problem) for problem in document.problems][:1] == [earned]


def test_a10_billion_laughs_are_refused_at_the_first_alias() -> None:
    laughs = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n"
    document = parse(laughs, "f.yaml")
    assert document.data is None
    assert "aliases" in document.problems[0].what


def test_five_mistakes_are_five_lines() -> None:
    text = "correlator:\n  group_wait: soon\n  colour: red\ntargets:\n- url: 5\n- timeout: 1s\ncount: many\n"
    document = parse(text, "f.yaml")
    assert read(Root, document) is None
    assert [p.line for p in sorted(document.problems)] == [2, 3, 5, 6, 7]


def test_the_loop_goes_by_the_pace_that_is_set() -> None:
    given = PipelineSettings(
        tick_ms=500,
        checkpoint_interval_ms=7_000,
        checkpoint_rate_bytes=2**20,
        series_idle_ms=3 * 3_600_000,
    )
    pace = given.pace()
    assert (pace.tick_ms, pace.checkpoint_ms, pace.checkpoint_rate_bytes) == (500, 7_000, 2**20)
    assert pace.series_idle_ms == 3 * 3_600_000
    assert pace.until_checkpoint_s(30 * 2**20) == 30.0
