"""F25 on a real process: a broken configuration changes nothing, a good one loses nothing."""

from __future__ import annotations

import signal

from benchmarks.process import Outside
from tests.pipeline.running import PACE, QUICK, QUIET, RETRY, Exporter, Running, until


def _routes(outside: Outside, receiver: str) -> str:
    return (
        f"receivers:\n- {{name: {receiver}, kind: webhook, url: '{outside.url}/pager/{receiver}', allow_private: true}}\n"
        f"desks:\n- {{name: desk, kind: webhook, url: '{outside.url}/desk', allow_private: true}}\n"
        f"route: {{receiver: {receiver}, desks: [desk], repeat_interval: 1h}}\n"
    )


def test_f25_a_broken_configuration_is_refused_by_request_and_by_signal(tocsin: Running) -> None:
    tocsin.start()
    tocsin.push("Broken", service="s")
    (incident,) = until(tocsin.incidents, "the incident")
    tocsin.configure(tocsin="correlator: {group_wait: soon}\nscrap: {}\n")
    answer = tocsin.ask("POST", "/-/reload")
    assert answer.status_code == 400
    problems = [problem["problem"] for problem in answer.json()["problems"]]
    assert len(problems) == 2
    assert "tocsin.yaml:1:26: correlator.group_wait: must be a duration" in problems[0]
    assert 'tocsin.yaml:2:1: scrap: unknown key; did you mean "scrape"?' in problems[1]
    assert tocsin.metric("tocsin_config_last_reload_successful") == 0
    assert tocsin.process is not None
    tocsin.process.send_signal(signal.SIGHUP)
    until(lambda: tocsin.metric("tocsin_reload_failures_total") == 2, "the second refusal")
    assert tocsin.ready()
    assert [i["id"] for i in tocsin.incidents()] == [incident["id"]]
    tocsin.configure(tocsin=QUIET + QUICK)
    tocsin.process.send_signal(signal.SIGHUP)
    until(lambda: tocsin.metric("tocsin_config_last_reload_successful") == 1, "the good one")


def test_f25_a_good_configuration_is_taken_over_and_nothing_is_forgotten(
    tocsin: Running, outside: Outside, exporter: Exporter
) -> None:
    tocsin.configure(routes=_routes(outside, "before"))
    tocsin.start()
    tocsin.push("Old", service="old")
    (incident,) = until(tocsin.incidents, "the incident")
    tocsin.settled()
    assert exporter.asked == 0
    targets = f"scrape: {{targets: [{{url: '{exporter.url}', job: jobs, interval: 3s}}]}}\n"
    tocsin.configure(
        tocsin=QUIET + QUICK + RETRY + PACE + targets, routes=_routes(outside, "after")
    )
    assert tocsin.ask("POST", "/-/reload").json() == {"reloaded": True}
    until(lambda: exporter.asked > 1, "the new target to be scraped")
    until(lambda: tocsin.metric("tocsin_series") > 0, "its series")
    tocsin.push("New", service="new")
    until(lambda: len(tocsin.incidents()) == 2, "the second incident")
    tocsin.settled()
    by_service = {one["service"]: one for one in tocsin.incidents()}
    assert by_service["old"]["id"] == incident["id"]
    # A receiver that is new hears of what is open, the one before is not told again: each page once.
    told = [(what[0], what[1]) for what, _ in outside.keys]
    old, new = incident["id"], by_service["new"]["id"]
    assert sorted(told) == sorted([(old, "before"), (old, "after"), (new, "after")])
    assert set(outside.pages.values()) == {1}
    assert sorted(map(len, outside.tickets.values())) == [1, 1]


def test_f25_a_reload_waits_for_what_is_under_way_outside(
    tocsin: Running, outside: Outside
) -> None:
    tocsin.outside(outside)
    tocsin.start()
    reloaded: list[bool] = []

    def reload(path: str) -> None:
        if path == "/desk" and not reloaded:
            assert tocsin.process is not None
            tocsin.process.send_signal(signal.SIGHUP)
            reloaded.append(True)
            until(
                lambda: tocsin.push("Meanwhile", service="other") == 200, "intake during a reload"
            )

    outside.before_answer = reload
    tocsin.push("Broken", service="s")
    until(lambda: tocsin.metric("tocsin_reloads_total") == 1, "the reload")
    until(lambda: len(tocsin.incidents()) == 2, "both incidents")
    tocsin.settled()
    assert [len(numbers) for numbers in outside.tickets.values()] == [1, 1]
    assert set(outside.pages.values()) == {1}
