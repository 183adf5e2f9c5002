"""Every scenario of tests/scenarios, and that the runner can say no."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import scenario
from pipeline.problems import ConfigurationError
from pipeline.scenario_file import parse

FOLDER = Path(__file__).resolve().parent / "scenarios"


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.scenario")), ids=lambda path: path.name.removesuffix(".scenario")
)
def test_scenario(path: Path) -> None:
    result = scenario.run_file(path)
    assert result.good, "\n" + "\n".join(map(str, result.failures))
    assert result.checks


BASE = """\
settings
    correlator:
        group_wait: 5s
at 0s
    push Down{service="pg", severity="critical"} firing
"""


@pytest.mark.parametrize(
    ("wanted", "good"),
    [
        ("incident none", False),
        ("incidents 1", True),
        ("incidents 2", False),
        ("incident open, 1 alerts, cause pg", True),
        ("incident open, 2 alerts", False),
        ("incident acknowledged", False),
        ("ticket OPS-1 open", True),
        ("ticket OPS-2 open", False),
        ("ticket none", False),
        ("alert Down{service=\"pg\"} firing", True),
        ("alert Down{service=\"mq\"} firing", False),
        ("alert Down none", False),
        ("page none", False),
        ("pages 1 why opened", True),
        ("pages 1 why repeat", False),
        ("sla response running", True),
        ("sla response breached", False),
    ],
)  # fmt: skip
def test_expectations_can_fail(wanted: str, good: bool) -> None:
    result = scenario.run(parse(f"{BASE}at 30s\n    {wanted}\n", "x.scenario"))
    assert result.good is good
    assert result.checks == 1


def test_a_failure_says_line_time_wanted_and_got() -> None:
    result = scenario.run(parse(f"{BASE}at 1m\n    ticket OPS-1 resolved\n", "x.scenario"))
    (failure,) = result.failures
    lines = str(failure).splitlines()
    assert lines[:3] == ["x.scenario:7: at 1m", "  wanted: ticket OPS-1 resolved", "  got:"]
    assert lines[3].strip().startswith("ticket number OPS-1, state open, alerts 1, priority P")


def test_an_act_on_nothing_is_a_failure() -> None:
    result = scenario.run(parse("at 1m\n    acknowledge pg\n    incident none\n", "x.scenario"))
    (failure,) = result.failures
    assert (
        str(failure)
        == "x.scenario:2: at 1m\n  wanted: an incident to acknowledge (pg)\n  got: nothing"
    )


def test_mistakes_in_the_configuration_are_at_the_scenarios_lines() -> None:
    text = "# T\nsettings\n    correlator:\n        group_wait: 30 seconds\nroutes\n    rout: 1\nat 1s\n    page none\n"
    with pytest.raises(ConfigurationError) as caught:
        scenario.run(parse(text, "x.scenario"))
    places = [(problem.path, problem.line, problem.where) for problem in caught.value.problems]
    assert places == [("x.scenario", 4, "correlator.group_wait"), ("x.scenario", 6, "rout")]


def test_twice_is_the_same() -> None:
    first, second = (scenario.run_file(FOLDER / "f10_storm.scenario") for _ in range(2))
    assert (first.steps, first.failures) == (second.steps, second.failures)
