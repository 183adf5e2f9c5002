"""What is pushed: hostile JSON, alerts, silences, changes, heartbeats."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors import alertmanager, changes, heartbeat, silences
from collectors.json_input import RefusedItems, load
from collectors.settings import IntakeLimits
from model.alert import Alert, AlertStatus
from model.errors import InputError
from model.journal import Heartbeat
from model.labels import Labels

NOW = 1_700_000_000_000
AT = alertmanager.rfc3339


def body(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("hostile", "said"),
    [
        (b"[" * 10**6, "objects and arrays"),
        (b"[" * 100_000 + b"]" * 100_000, "not JSON"),
        (b"[" * 40 + b"]" * 40, "deeper than 32"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "deeper than 32"),
        (b"{" + b",".join(b'"l%d":""' % n for n in range(250_000)) + b"}", "values"),
        (b"{" + b",".join(b'"l%d":"x"' % n for n in range(10**6)) + b"}", "bytes"),
        (b'{"a":"' + b"x" * 10**6 + b'"}', "text longer"),
        (b'{"a":1,"b":{"c":1,"c":1}}', 'key "c" is given twice'),
        (b"[NaN]", "not JSON"),
        (b"[Infinity]", "not JSON"),
        (b"[-Infinity]", "not JSON"),
        (b'["\\ud800"]', "not JSON"),
        (b'["\\u0000"]', "NUL"),
        (b'["\0"]', "not JSON"),
        (b'{"\\u0000":1}', "NUL"),
        (b'["\xff"]', "not JSON"),
        (b"", "not JSON"),
        (b"[1] x", "not JSON"),
        (b"[" + b"[]," * 1_300_000 + b"[]]", "values"),
    ],
)
def test_a03_hostile_json_is_refused_quickly(hostile: bytes, said: str) -> None:
    began = time.process_time()
    with pytest.raises(InputError) as caught:
        load(hostile)
    assert said in str(caught.value)
    # 100 ms on a quiet machine; this one may be busy with other things.
    assert time.process_time() - began < 0.4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "labels",
                    "annotations",
                    "startsAt",
                    "endsAt",
                    "status",
                    "alerts",
                    "name",
                    "matchers",
                    "value",
                    "timeout",
                    "service",
                    "title",
                    "time",
                    "x",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=300)
@given(JSON)
def test_parsers_answer_or_say_what_is_wrong(value: Any) -> None:
    data = body(value)
    for parse in (
        lambda: alertmanager.parse_v2(data, now_ms=NOW, source="s"),
        lambda: alertmanager.parse_webhook(data, now_ms=NOW, source="s"),
        lambda: changes.parse(data, now_ms=NOW, source="s"),
        lambda: heartbeat.parse(data, now_ms=NOW, source="s"),
        lambda: silences.parse_silence(data, now_ms=NOW),
    ):
        try:
            parse()
        except InputError as error:
            assert str(error)


def one(**fields: object) -> Alert:
    (alert,) = alertmanager.parse_v2(
        body([{"labels": {"alertname": "A", "empty": ""}, **fields}]),
        now_ms=NOW,
        source="prom",
        resolve_timeout_ms=60_000,
    )
    return alert


@pytest.mark.parametrize(
    ("fields", "starts", "ends", "expires"),
    [
        # Nothing said: from now until the resolve timeout.
        ({}, 0, None, 60_000),
        # Go's zero time is nothing said.
        ({"startsAt": "0001-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z"}, 0, None, 60_000),
        ({"startsAt": AT(NOW - 5_000)}, -5_000, None, 60_000),
        # Prometheus sends an end ahead of now while the alert fires.
        ({"startsAt": AT(NOW - 5_000), "endsAt": AT(NOW + 1)}, -5_000, None, 1),
        # An end that is now, or past, is a resolve.
        ({"startsAt": AT(NOW - 5_000), "endsAt": AT(NOW)}, -5_000, 0, None),
        # A missing start is the end.
        ({"endsAt": AT(NOW - 9_000)}, -9_000, -9_000, None),
        # A start ahead of now is a clock's mistake (F12).
        ({"startsAt": AT(NOW + 9_000)}, 0, None, 60_000),
    ],
)
def test_v2_times(
    fields: dict[str, str], starts: int, ends: int | None, expires: int | None
) -> None:
    alert = one(**fields)
    assert alert.starts_ms - NOW == starts
    assert (alert.ends_ms, alert.expires_ms) == (
        None if ends is None else NOW + ends,
        None if expires is None else NOW + expires,
    )
    assert alert.labels == Labels.of({"alertname": "A"})


def test_every_problem_is_named_and_the_good_ones_are_kept() -> None:
    items: list[object] = [
        {"labels": {"alertname": "good"}},
        {"labels": {"": "x", "a": 5}, "startsAt": "soon"},
        {"labels": {"x": ""}},
        7,
        {"labels": {"a": "b"}, "startsAt": AT(NOW), "endsAt": AT(NOW - 1)},
    ]
    with pytest.raises(RefusedItems) as caught:
        alertmanager.parse_v2(body(items), now_ms=NOW, source="s")
    assert [alert.name for alert in caught.value.accepted] == ["good"]
    said = str(caught.value).splitlines()
    for where in ("/1/labels/:", "/1/labels/a:", "/1/startsAt:", "/2/labels:", "/3:", "/4/endsAt:"):
        assert any(line.startswith(where) for line in said), where


def test_webhook_of_an_alertmanager() -> None:
    data = {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "tocsin",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://am",
        "notification_reason": "new",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "A"},
                "annotations": {"summary": "s"},
                "startsAt": "2023-11-14T22:00:00.123456789Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://p",
                "fingerprint": "x",
            },
            {
                "status": "resolved",
                "labels": {"alertname": "B"},
                "annotations": {},
                "startsAt": "2023-11-14T22:00:00Z",
                "endsAt": "2023-11-14T22:10:00Z",
            },
        ],
    }
    firing, resolved = alertmanager.parse_webhook(body(data), now_ms=NOW, source="am")
    assert firing.firing and firing.expires_ms == NOW + alertmanager.WEBHOOK_EXPIRY_MS
    assert firing.annotations["summary"] == "s"
    assert resolved.ends_ms == 1_699_999_800_000
    data["version"] = "3"
    with pytest.raises(InputError, match="/version"):
        alertmanager.parse_webhook(body(data), now_ms=NOW, source="am")


def test_what_we_serve_can_be_read_back() -> None:
    alert = one(startsAt=AT(NOW - 5_000), annotations={"summary": "x"}, generatorURL="http://g")
    (served,) = alertmanager.to_v2([AlertStatus(alert, silenced_by=("s1",))], now_ms=NOW)
    assert served["status"]["state"] == "suppressed"
    (again,) = alertmanager.parse_v2(body([served]), now_ms=NOW, source="prom")
    assert again == alert


def test_long_annotations_are_cut_and_long_labels_refused() -> None:
    assert len(one(annotations={"description": "x" * 9_000}).annotations["description"]) == 4_096
    with pytest.raises(InputError, match="longer than 4096"):
        one(labels={"a": "x" * 9_000})


def test_silence_round_trip() -> None:
    posted = {
        "matchers": [
            {"name": "job", "value": "a|b", "isRegex": True},
            {"name": "env", "value": "dev", "isRegex": False, "isEqual": False},
        ],
        "startsAt": AT(NOW - 5),
        "endsAt": AT(NOW + 1_000),
        "createdBy": "ann",
        "comment": "update",
    }
    silence = silences.parse_silence(body(posted), now_ms=NOW)
    assert [str(m) for m in silence.matchers] == ['job=~"a|b"', 'env!="dev"']
    assert silence.starts_ms == NOW
    served = silences.silence_to_json(silence, now_ms=NOW)
    assert silences.parse_silence(body(served), now_ms=NOW) == silence
    assert silences.parse_silence(body(posted), now_ms=NOW, created_by="bob").created_by == "bob"


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"matchers": []}, "/matchers"),
        ({"matchers": [{"name": "a", "value": ".*", "isRegex": True}]}, "/matchers"),
        ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, "/matchers/0"),
        ({"matchers": [{"name": "", "value": "x"}]}, "/matchers/0"),
        ({"endsAt": AT(NOW)}, "/endsAt"),
        ({"endsAt": None}, "/endsAt"),
    ],
)
def test_silences_that_are_refused(wrong: dict[str, object], where: str) -> None:
    good = {"matchers": [{"name": "a", "value": "x"}], "endsAt": AT(NOW + 9)}
    with pytest.raises(InputError, match=where):
        silences.parse_silence(body({**good, **wrong}), now_ms=NOW)


def test_changes() -> None:
    one_change = {"service": "cart", "title": "v2", "version": "2", "labels": {"env": "prod"}}
    (first,) = changes.parse(body(one_change), now_ms=NOW, source="ci")
    (again,) = changes.parse(body([{**one_change, "time": AT(NOW)}]), now_ms=NOW + 5, source="ci")
    assert first.id == again.id and first.time_ms == again.time_ms == NOW
    (ahead,) = changes.parse(
        body({**one_change, "timestamp": NOW + 10**8}), now_ms=NOW, source="ci"
    )
    assert ahead.time_ms == NOW
    with pytest.raises(RefusedItems, match="/1: must have a service or a title"):
        changes.parse(body([one_change, {"kind": "flag"}]), now_ms=NOW, source="ci")


def test_heartbeat_bodies() -> None:
    assert heartbeat.parse(b"", now_ms=NOW, source="s", name="b") == Heartbeat(
        "b", NOW, 300_000, "", "s"
    )
    assert (
        heartbeat.parse(b'{"timeout": 90}', now_ms=NOW, source="s", name="b").timeout_ms == 90_000
    )
    with pytest.raises(InputError) as caught:
        heartbeat.parse(b'{"timeout": "0s", "service": 1}', now_ms=NOW, source="s")
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "/name",
        "/timeout",
        "/service",
    ]


def test_after_a_start_an_overdue_heartbeat_is_waited_for_a_moment() -> None:
    beat = Heartbeat("backup", NOW, 300_000, "db", "cron")
    restored = heartbeat.Heartbeats()
    restored.restore([beat])
    back_ms = NOW + 3_600_000  # we were away for an hour, and nobody could reach us
    assert restored.step(back_ms) == []
    assert restored.step(back_ms + 60_000) == []
    assert [alert.firing for alert in restored.step(back_ms + 60_001)] == [True]


def test_heartbeats_fire_once_resolve_and_survive_a_restart() -> None:
    beats = heartbeat.Heartbeats()
    beat = Heartbeat("backup", NOW, 1_000, "db", "cron")
    beats.take([beat], now_ms=NOW)
    assert beats.step(NOW + 1_000) == []
    (fired,) = beats.step(NOW + 1_001)
    assert (fired.service, fired.starts_ms) == ("db", NOW + 1_000)
    restored = heartbeat.Heartbeats()
    restored.restore([beat], [fired])
    assert restored.step(NOW + 2_000) == []
    # A late repeat of an older beat changes nothing; a new one resolves.
    assert restored.take([Heartbeat("backup", NOW - 9, 1_000, "db", "cron")], now_ms=NOW) == []
    # Another credential cannot keep it alive (A25).
    assert restored.take([Heartbeat("backup", NOW + 9_000, 1_000, "db", "x")], now_ms=NOW) == []
    (resolved,) = restored.take([Heartbeat("backup", NOW + 9_000, 1_000, "db", "cron")], now_ms=NOW)
    assert resolved.key == fired.key and resolved.id == fired.id and not resolved.firing


def test_heartbeats_are_bounded() -> None:
    beats = heartbeat.Heartbeats(heartbeats_max=1)
    beats.take([Heartbeat("a", 0, 1), Heartbeat("b", 0, 1)], now_ms=0)
    assert (len(beats.beats), beats.refused) == (1, 1)


def test_too_many_items() -> None:
    with pytest.raises(InputError, match="at most 2 items"):
        alertmanager.parse_v2(b"[{},{},{}]", now_ms=0, source="s", limits=IntakeLimits(items_max=2))
