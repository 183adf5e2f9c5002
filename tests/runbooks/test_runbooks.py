"""Reading, collecting and matching runbooks; and that the shipped ones are usable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from model.alert import Alert, Severity
from model.catalogue import Catalogue, Service
from model.incident import Cause, Incident, IncidentState, Priority
from model.labels import Labels
from model.reason import because
from runbooks.library import Library, load, shipped
from runbooks.match import match
from runbooks.runbook import RunbookError, parse

# (text, the message without its path)
BAD = [
    ("hello", '1: must begin with front matter between two lines of "---"'),
    ("---\ntitle: x\n", '1: the front matter has no end: a line of "---" is missing'),
    ("---\nservices: [a]\n---\n## X\n", "2: title: must be a line of text, got None"),
    (
        "---\ntitle: x\ntitel: y\n---\n## X\n",
        "3: titel: unknown key; known are title, services, tags, match, signals, severity",
    ),
    ("---\ntitle: x\ntitle: y\n---\n## X\n", "3: title: given twice"),
    ("---\ntitle: x\n---\nno heading\n", '4: must have at least one section ("## Check first")'),
    (
        "---\ntitle: x\nsignals: [slow]\n---\n## X\n",
        "3: signals: must be of availability, errors, latency, traffic, saturation, logs, level, expiry; got 'slow'",
    ),
    (
        "---\ntitle: x\nmatch: ['a=~(']\n---\n## X\n",
        "3: match: not a regular expression: '(': missing ): (",
    ),
    (
        "---\ntitle: x\nmatch: {none: [a=b]}\n---\n## X\n",
        '3: match: must have "all" or "any", got \'none\'',
    ),
    ("---\ntitle: x\nservices: [1]\n---\n## X\n", "3: services: must be a list of texts, got 1"),
    ("---\ntitle: [x\n---\n## X\n", "2: not YAML: "),
    ("---\ntitle: &a x\nservices: [*a]\n---\n## X\n", "2: anchors are not used here"),
    ("---\ntitle: !!python/object:os.x y\n---\n## X\n", "2: title: YAML tags are not used here"),
    ("---\n- a\n---\n## X\n", "2: front matter must be keys and values: "),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_runbooks_say_where(text: str, message: str) -> None:
    with pytest.raises(RunbookError) as raised:
        parse(text, "a/b.md")
    assert str(raised.value).startswith("a/b.md:" + message)


def test_sections_and_commands() -> None:
    text = "---\r\ntitle: T\r\n---\r\nintro\r\n## One\r\ntext\r\n```sh\r\n## no heading\r\nls\r\n```\r\n## Two\r\n"
    book = parse(text, r"C:\books\t.md")
    assert book.name == "t"
    assert [s.title for s in book.sections] == ["One", "Two"]
    assert book.sections[0].commands == ("## no heading\nls",)


def test_a_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text("---\ntitle: Good\n---\n## X\n")
    (tmp_path / "bad.md").write_text("nothing")
    (tmp_path / "latin.md").write_bytes(b"---\ntitle: caf\xe9\n---\n## X\n")
    (tmp_path / "zh").mkdir()
    (tmp_path / "zh" / "good.md").write_text("---\ntitle: 好\n---\n## X\n", encoding="utf-8")
    library = load(tmp_path)
    assert list(library.runbooks) == ["good"]
    assert sorted(str(p).removeprefix(str(tmp_path)) for p in library.problems) == [
        '/bad.md:1: must begin with front matter between two lines of "---"',
        "/latin.md:2: not UTF-8 text",
    ]
    assert library.in_language("zh_CN").runbooks["good"].title == "好"
    assert library.in_language("de").runbooks["good"].title == "Good"


def test_a_missing_folder_is_a_problem(tmp_path: Path) -> None:
    assert "no such folder" in str(load(tmp_path / "none").problems[0])


def test_ones_own_win_by_name(tmp_path: Path) -> None:
    (tmp_path / "service-down.md").write_text("---\ntitle: Ours\n---\n## X\n")
    both = shipped().with_(load(tmp_path))
    assert both.runbooks["service-down"].title == "Ours"
    # A translation of the one it replaces is gone with it.
    assert both.in_language("zh").runbooks["service-down"].title == "Ours"
    assert len(both.runbooks) == len(shipped().runbooks)


def test_shipped_runbooks_are_whole() -> None:
    library = shipped()
    assert library.problems == ()
    assert len(library.runbooks) >= 10
    for book in library.runbooks.values():
        titles = [section.title for section in book.sections]
        assert titles == ["What you see", "Check first", "Mend", "Escalate when", "Afterwards"], (
            book.name
        )
        assert book.sections[1].commands, book.name
        assert book.signals, book.name


def test_runbooks_refer_to_runbooks_that_exist() -> None:
    library = shipped()
    books = [*library.runbooks.values(), *library.translations.get("zh", {}).values()]
    for book in books:
        named = re.findall(r"(?:runbooks?|手册) `([a-z-]+)`", book.body)
        assert set(named) <= set(library.runbooks), book.path


def test_translations_are_complete_and_match_alike() -> None:
    library = shipped()
    chinese = library.translations["zh"]
    assert set(chinese) == set(library.runbooks)
    for name, book in library.runbooks.items():
        other = chinese[name]
        assert len(other.sections) == len(book.sections), name
        for field in ("services", "tags", "all_of", "any_of", "signals", "severities"):
            assert getattr(other, field) == getattr(book, field), (name, field)
        # Commands are copied, not read: they must be the same but for remarks and placeholders.
        assert [len(s.commands) for s in other.sections] == [
            len(s.commands) for s in book.sections
        ], name


def incident(service: str, *, change: str = "", severity: Severity = Severity.WARNING) -> Incident:
    return Incident(
        id="i", state=IncidentState.OPEN, state_since_ms=0, title=because("t"), service=service,
        services=(service, "gateway"), severity=severity, priority=Priority.P2, impact=2, urgency=2,
        team="", began_ms=0, opened_ms=0, updated_ms=0,
        causes=(Cause(service, 1.0, change_id=change),),
    )  # fmt: skip


def alert(service: str, signal: str, **labels: str) -> Alert:
    every = {"service": service, "signal": signal, "alertname": signal, **labels}
    return Alert(Labels.of(every), "detector", 0, 0)


# (service, alerts of it, change, the best runbook)
BEST = [
    ("inventory", [alert("inventory", "availability")], "", "service-down"),
    ("catalog", [alert("catalog", "errors")], "", "high-error-ratio"),
    ("payment", [alert("payment", "latency")], "", "high-latency"),
    (
        "checkout",
        [alert("checkout", "saturation", metric="process_cpu_seconds_total")],
        "",
        "cpu-saturation",
    ),
    (
        "search",
        [alert("search", "saturation", metric="process_resident_memory_bytes")],
        "",
        "memory-leak",
    ),
    ("cart", [alert("cart", "errors")], "d1", "bad-deploy"),
    ("shipping", [alert("shipping", "logs")], "", "log-error-burst"),
    ("host", [alert("host", "saturation", metric="host_load1")], "", "host-overloaded"),
    (
        "host",
        [alert("host", "saturation", metric="host_filesystem_used_ratio")],
        "",
        "disk-filling",
    ),
    (
        "backup",
        [alert("backup", "availability", alertname="HeartbeatMissing")],
        "",
        "telemetry-missing",
    ),
    (
        "cart",
        [alert("cart", "saturation", metric="client_requests_in_flight")],
        "",
        "slow-dependency",
    ),
    (
        "gateway",
        [alert("gateway", "expiry", alertname="CertificateExpiring")],
        "",
        "certificate-expiring",
    ),
]


@pytest.mark.parametrize(("service", "alerts", "change", "best"), BEST, ids=[b[3] for b in BEST])
def test_the_best_shipped_runbook(
    service: str, alerts: list[Alert], change: str, best: str
) -> None:
    found = match(shipped(), incident(service, change=change), alerts, Catalogue())
    assert found[0].runbook.name == best, [(m.runbook.name, m.score) for m in found]
    assert all(m.reasons for m in found)


def test_the_catalogue_wins(tmp_path: Path) -> None:
    (tmp_path / "pay.md").write_text("---\ntitle: Pay\nservices: [other]\n---\n## X\n")
    library = shipped().with_(load(tmp_path))
    shop = Catalogue.of([Service("payment", runbooks=("pay",))])
    alerts = [alert("payment", "latency")]
    best = match(library, incident("payment"), alerts, shop)[0]
    assert best.runbook.name == "pay"
    assert [r.text() for r in best.reasons] == ["the catalogue names it for payment"]
    names = [m.runbook.name for m in match(library, incident("payment"), alerts, Catalogue())]
    assert "pay" not in names


def test_limits_of_a_runbook_are_kept() -> None:
    text = "---\ntitle: T\nmatch: {{all: [zone=eu], any: [a=1, a=2]}}\nseverity: [{}]\n---\n## X\n"
    for severity, labels, fits in [
        ("warning", {"zone": "eu", "a": "2"}, True),
        ("warning", {"zone": "us", "a": "2"}, False),
        ("warning", {"zone": "eu"}, False),
        ("critical", {"zone": "eu", "a": "2"}, False),
    ]:
        library = Library({"t": parse(text.format(severity), "t.md")})
        alerts = [alert("pay", "errors", **labels)]
        assert bool(match(library, incident("pay"), alerts, Catalogue())) is fits, (
            severity,
            labels,
        )


def test_nothing_fits_nothing() -> None:
    other = Alert(Labels.of({"alertname": "X"}), "prom", 0, 0)
    assert match(shipped(), incident("pay"), [other], Catalogue()) == []
