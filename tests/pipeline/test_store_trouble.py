"""F19 and F20 on a real process: a disk that refuses, snapshots that cannot be read."""

from __future__ import annotations

import resource

import pytest

from tests.pipeline.running import QUICK, QUIET, Running, until

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


def test_f19_what_was_accepted_before_the_disk_was_full_is_decided_after_it(
    tocsin: Running,
) -> None:
    # Slow steps: the alert is journalled, and the disk is full before its decision is written.
    tocsin.configure(tocsin=QUIET + QUICK.replace("200ms", "2s"))
    tocsin.start()
    assert tocsin.push("Accepted", service="s") == 200
    _limit(tocsin, FULL_BYTES)
    until(lambda: not tocsin.ready(), "not ready")
    # Past group_wait: the incident is decided, and cannot be written.
    until(lambda: tocsin.metric("tocsin_commit_failures_total") > 3, "three more steps")
    assert not tocsin.incidents()
    _limit(tocsin, resource.RLIM_INFINITY)
    (incident,) = until(tocsin.incidents, "the incident")
    assert incident["alert_count"] == 1
    tocsin.settled()
    assert len(tocsin.rows("SELECT 1 FROM tickets")) == 1


@pytest.mark.parametrize("damage", ["cut", "older"])
def test_f20_a_bad_snapshot_is_told_and_the_one_before_is_used(
    tocsin: Running, damage: str
) -> None:
    tocsin.configure(tocsin=QUIET + QUICK + "pipeline: {checkpoint_interval: 1s}\n")
    tocsin.start()
    tocsin.push("Broken", service="s")
    (incident,) = until(tocsin.incidents, "the incident")
    folder = tocsin.data / "checkpoints"
    until(lambda: len(list(folder.glob("*.snapshot"))) == 2, "two snapshots")
    tocsin.kill()
    kept, newest = sorted(folder.glob("*.snapshot"))
    whole = newest.read_bytes()
    if damage == "cut":
        newest.write_bytes(whole[: len(whole) // 2])
    else:  # whole, but not as this version writes it; and no other one
        _as_another_version(tocsin)
        kept.unlink()
    tocsin.start()
    assert [i["id"] for i in tocsin.incidents()] == [incident["id"]]
    assert len(tocsin.said(f"snapshot {newest.name} is not usable")) == 1
    assert len(tocsin.said("starts cold")) == 1 + (damage == "older")  # the first start was cold
    assert until(lambda: tocsin.metric("tocsin_checkpoints_damaged_total"), "the metric") == 1


def _as_another_version(tocsin: Running) -> None:
    from pipeline.checkpoints import Checkpoints, pack, unpack

    checkpoints = Checkpoints(tocsin.data / "checkpoints")
    name, data = next(checkpoints.read("stages"))
    parts = {**unpack(data), "engine": b"tocsin-detectors 0\n"}
    (checkpoints.folder / name).unlink()
    checkpoints.write("stages", pack(parts), now_ms=int(name.split(".")[1]))
