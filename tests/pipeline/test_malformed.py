"""Malformed input of every kind to a real process: counted, said once, the rest processed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.pipeline.running import PACE, QUICK, Exporter, Running, until

HALF = "host: {enabled: false}\nself: {enabled: false}\n" + PACE


def test_a_bad_line_of_an_exposition_is_counted_and_said_once(
    tocsin: Running, exporter: Exporter
) -> None:
    exporter.body = 'good 1\nbad{ 2\nanother{a="b"} 3\nold 4 1\n'
    targets = f"scrape: {{targets: [{{url: '{exporter.url}', job: jobs, interval: 1s}}]}}\n"
    tocsin.configure(tocsin=HALF + "logs: {sources: []}\n" + targets)
    tocsin.start()
    until(lambda: tocsin.metric("tocsin_scrape_bad_lines_total") > 2, "three scrapes")
    bad, failed = (tocsin.metric(f"tocsin_scrape_{what}_total") for what in ("bad_lines", "errors"))
    # Each scrape has one bad line or, on a busy machine, came to nothing; none is both.
    assert bad + failed <= exporter.asked
    assert tocsin.metric("tocsin_series") >= 5  # good, another and the target's own three
    assert (
        tocsin.metric("tocsin_samples_late_total")
        + tocsin.metric("tocsin_samples_without_clock_total")
        + tocsin.metric("tocsin_samples_time_repaired_total")
        >= 3
    )  # 1 ms after the epoch
    syntax = [said for said in tocsin.said(exporter.url.split("/")[2]) if "line 2" in said]
    assert 1 <= len(syntax) <= 1 + tocsin.metric("tocsin_scrape_errors_total"), syntax


def test_bad_log_lines_are_read_as_far_as_they_can_be(tocsin: Running, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.touch()
    tocsin.configure(tocsin=HALF + f"logs: {{sources: [{{paths: ['{path}'], service: app}}]}}\n")
    tocsin.start()
    until(lambda: tocsin.metric("tocsin_steps_total") > 1, "a look at the file")
    far = '{"time": "2199-01-01T00:00:00Z", "level": "info", "msg": "from the future"}\n'
    lines = [
        b'{"level": "info", "msg": "half a JSON\n',
        b'level=info msg="no end of the quote\n',
        b"\xff\xfe not UTF-8 \x00\x1b[31m\n",
        far.encode(),
        b'{"time": 0, "level": "info", "msg": "from the epoch"}\n',
        b"[" * 10_000 + b"\n",
        b"a" * 1_000_000 + b"\n",
        b'{"level": "info", "msg": "a good one"}\n',
    ]
    with path.open("ab") as file:
        file.writelines(lines)
    until(lambda: tocsin.metric("tocsin_log_lines_total") == len(lines), "every line")
    assert tocsin.metric("tocsin_log_lines_cut_total") == 1
    assert tocsin.metric("tocsin_log_future_total") == 1
    assert tocsin.metric("tocsin_log_without_clock_total") == 1
    assert tocsin.metric("tocsin_log_errors_total") == 0
    assert tocsin.ready()


BODIES = [
    b"",
    b"{",
    b"[" * 100_000,
    b'[{"labels": {"alertname": "\xff"}}]',
    b'[{"labels": {"alertname": "A", "alertname": "B"}}]',
    b'[{"labels": {"alertname": NaN}}]',
    b'[{"labels": {"alertname": "\\ud800"}}]',
    b'[{"labels": {"alertname": "A"}, "startsAt": "yesterday"}]',
    b'[{"labels": []}]',
]


def test_a03_bad_pushes_are_refused_and_the_good_part_of_a_push_is_taken(tocsin: Running) -> None:
    tocsin.configure(tocsin=HALF + "logs: {sources: []}\n" + QUICK)
    tocsin.start()
    headers = {"Content-Type": "application/json"}
    for body in BODIES:
        answer = tocsin.session.post(
            f"{tocsin.url}/api/v2/alerts", data=body, headers=headers, timeout=120
        )
        assert answer.status_code == 400 and answer.json()["problems"], body[:50]
    assert tocsin.metric("tocsin_intake_malformed_total") == len(BODIES)
    now = datetime.now(UTC).isoformat()
    mixed = [
        {"labels": {"alertname": "Good", "service": "s"}, "startsAt": now},
        {"labels": {"alertname": 5}, "startsAt": now},
    ]
    answer = tocsin.ask("POST", "/api/v2/alerts", mixed)
    assert answer.status_code == 400 and "1 accepted" in answer.text
    until(tocsin.incidents, "the incident of the good one")
    assert tocsin.metric("tocsin_journal_poisoned_total") == 0
