"""Objectives written for others: what is taken over, and what is named instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from model.slo import Objective
from pipeline.cli import app
from pipeline.objectives import ObjectivesFile
from pipeline.openslo import NotTaken, convert, selector
from pipeline.positions import parse
from pipeline.reading import read

OPENSLO = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: web-availability}
spec:
  service: web
  description: Pages are served.
  indicatorRef: web-errors
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.995}]
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: web-errors}
spec:
  ratioMetric:
    counter: true
    good: {metricSource: {type: Prometheus, spec: {query: 'sum(http_requests_total{job="web",code!~"5.."})'}}}
    total: {metricSource: {type: Prometheus, spec: {query: 'sum(http_requests_total{job="web"})'}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: by-minutes}
spec:
  service: web
  indicator: {spec: {ratioMetric: {good: {}, total: {}}}}
  budgetingMethod: Timeslices
  objectives: [{target: 0.9}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: by-threshold}
spec: {service: web, indicator: {spec: {thresholdMetric: {}}}, objectives: [{target: 0.9}]}
---
apiVersion: openslo/v1
kind: AlertPolicy
"""

SLOTH = """
version: "prometheus/v1"
service: myservice
slos:
  - name: requests
    objective: 99.9
    description: Requests succeed.
    sli:
      events:
        error_query: sum(rate(http_request_duration_seconds_count{job="myservice",code=~"(5..|429)"}[{{.window}}]))
        total_query: sum(rate(http_request_duration_seconds_count{job="myservice"}[{{.window}}]))
    alerting: {ticket_alert: {disable: true}}
  - name: raw
    objective: 99
    sli: {raw: {error_ratio_query: "1 - up"}}
"""


def objectives_of(text: str) -> tuple[Objective, ...]:
    document = parse(text, "slo.yaml")
    found = read(ObjectivesFile, document)
    assert not document.problems and found is not None
    return found.objectives


def test_openslo() -> None:
    found = convert(OPENSLO)
    (mine,) = objectives_of(found.text())
    assert (mine.service, mine.name, mine.objective) == ("web", "web-availability", 99.5)
    assert mine.window_ms == 28 * 86_400_000
    assert mine.good == 'http_requests_total{job="web",code!~"5.."}'
    assert [problem.partition(":")[0] for problem in found.problems] == [
        "by-minutes",
        "by-threshold",
        "AlertPolicy",
    ]


def test_sloth() -> None:
    found = convert(SLOTH)
    (mine,) = objectives_of(found.text())
    assert (mine.name, mine.objective, mine.page, mine.ticket) == (
        "myservice-requests", 99.9, True, False,
    )  # fmt: skip
    assert mine.bad == 'http_request_duration_seconds_count{job="myservice",code=~"(5..|429)"}'
    assert len(found.problems) == 1 and found.problems[0].startswith(
        "myservice-raw: only `sli.events`"
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a_total", "a_total"),
        ("rate(a_total[5m])", "a_total"),
        ("sum by (job) (increase(a_total{x='y'}[1h]))", 'a_total{x="y"}'),
        ('sum(increase(a_total{x="y"}[1h])) by (job)', 'a_total{x="y"}'),
        ('sum(rate({__name__=~"a|b"}[5m]))', '{__name__=~"a|b"}'),
        ("sum(rate(a_total[5m])) / 2", None),
        ("sum(rate(a_total[5m])) - sum(rate(b_total[5m]))", None),
        ("", None),
        (None, None),
    ],
)
def test_only_sums_of_one_counter_are_taken(query: object, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(NotTaken):
            selector(query)
    else:
        assert selector(query) == expected


@pytest.mark.parametrize(
    "window", ["{duration: 1Y}", "{duration: 30d, isRolling: false}", "{calendar: {}}"]
)
def test_windows_that_do_not_roll_in_days_are_named(window: str) -> None:
    found = convert(OPENSLO.replace("{duration: 4w, isRolling: true}", window))
    assert found.entries == [] and "window" in found.problems[0]


@pytest.mark.parametrize(
    "text", ["", "a: [", "just text", "- 1", "kind: SLO", "version: prometheus/v1"]
)
def test_anything_else_does_no_harm(text: str) -> None:
    try:
        assert convert(text).entries == []
    except ValueError as error:
        assert "YAML" in str(error)


def test_the_command_writes_a_file_and_names_what_it_left_out(tmp_path: Path) -> None:
    (tmp_path / "sloth.yaml").write_text(SLOTH)
    (tmp_path / "openslo.yaml").write_text(OPENSLO)
    out = tmp_path / "slo.yaml"
    result = CliRunner().invoke(
        app,
        [
            "slo-import",
            str(tmp_path / "sloth.yaml"),
            str(tmp_path / "openslo.yaml"),
            "-o",
            str(out),
        ],
    )
    assert result.exit_code == 1
    assert [o.name for o in objectives_of(out.read_text())] == [
        "myservice-requests",
        "web-availability",
    ]
