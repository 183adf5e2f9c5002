"""F19 and F20 on a real process: a disk that refuses, snapshots that cannot be read."""

from __future__ import annotations

import resource

from tests.pipeline.running import Running, until

FULL_BYTES = 8_192  # every database is larger, the log is not


def _limit(tocsin: Running, bytes_max: int) -> None:
    """No file of the process may grow beyond; what is smaller than that is not hindered."""
    assert tocsin.process is not None
    limit = (bytes_max, resource.RLIM_INFINITY)
    resource.prlimit(tocsin.process.pid, resource.RLIMIT_FSIZE, limit)


def test_f19_a_full_disk_is_told_and_ends_by_itself(tocsin: Running) -> None:
    tocsin.start()
    assert tocsin.push("Before", service="s") == 200
    until(tocsin.incidents, "the first incident")
    _limit(tocsin, FULL_BYTES)
    answer = tocsin.ask("POST", "/api/v2/alerts", [{"labels": {"alertname": "Refused"}}])
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    until(lambda: not tocsin.ready(), "not ready")
    assert tocsin.push("AlsoRefused", service="s") == 503
    assert tocsin.metric("tocsin_commit_failures_total") > 0  # /metrics answers meanwhile
    assert tocsin.ask("GET", "/api/v1/incidents").status_code == 200
    _limit(tocsin, resource.RLIM_INFINITY)
    until(tocsin.ready, "ready again")
    until(lambda: tocsin.push("After", service="s") == 200, "an accepted alert")
    tocsin.settled()
    found = tocsin.rows("SELECT json_extract(body, '$.alert.labels.alertname') FROM alerts")
    assert {name for (name,) in found} == {"Before", "After"}
    assert len(tocsin.said("the store refuses writes")) == 1
    assert len(tocsin.said("the store takes writes again")) == 1


def test_f20_a_bad_snapshot_is_told_and_the_one_before_is_used(tocsin: Running) -> None:
    tocsin.start()
    tocsin.push("Broken", service="s")
    (incident,) = until(tocsin.incidents, "the incident")
    folder = tocsin.data / "checkpoints"
    until(lambda: len(list(folder.glob("*.snapshot"))) == 2, "two snapshots")
    tocsin.kill()
    newest = max(folder.glob("*.snapshot"))
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    (folder / "stages.999999999999999.partial").write_bytes(b"TOCSIN1\nhalf")
    tocsin.start()
    assert [i["id"] for i in tocsin.incidents()] == [incident["id"]]
    assert len(tocsin.said(f"snapshot {newest.name} is not usable")) == 1
    assert len(tocsin.said("starts cold")) == 1  # the first start, not the second
    assert until(lambda: tocsin.metric("tocsin_checkpoints_damaged_total"), "the metric") == 1
