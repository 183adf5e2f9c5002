"""Records that make every page show something: for tests, and to look at pages."""

from __future__ import annotations

import math

from sqlalchemy import Connection

from model.action import Action, ActionKind, Page
from model.alert import Alert, AlertStatus, Evidence, Severity
from model.catalogue import Catalogue, Service, Team
from model.change import Change
from model.identity import derive_id
from model.incident import (
    Cause,
    ClockKind,
    EntryKind,
    Incident,
    IncidentState,
    Priority,
    SlaClock,
    TimelineEntry,
)
from model.labels import Labels, Matcher
from model.reason import because
from model.silence import Silence
from model.ticket import TicketDraft, TicketState
from store import (
    alerts,
    changes,
    clocks,
    incidents,
    outbox,
    pages,
    silences,
    ticket_links,
    tickets,
    timeline,
)
from store.store import Store
from store.ticket_links import TicketLink

NOW_MS = 1_795_298_400_000
MINUTE_MS = 60_000
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'

SHOP = Catalogue.of(
    [
        Service(
            "gateway", 1, "storefront", "What browsers talk to", ("catalog", "cart", "checkout")
        ),
        Service("catalog", 2, "storefront", "Products and prices", ("catalog-db",)),
        Service("cart", 2, "storefront", "", ("redis",)),
        Service("checkout", 1, "payments", "Takes orders", ("payment", "inventory", "cart")),
        Service("payment", 1, "payments", "Card payments", ("bank",)),
        Service("inventory", 2, "logistics", "", ("catalog-db",)),
        Service("bank", 3, "", "An outside party"),
        Service("redis", 3, "platform"),
        Service("catalog-db", 2, "platform"),
    ],
    [Team("payments", ("ann", "bob"), ("payments",))],
)


def evidence(metric: str, unit: str, base: float, jump: float, began_ms: int) -> Evidence:
    """Twenty minutes of a series that jumps at `began_ms`, with its band."""
    times = tuple(range(began_ms - 15 * MINUTE_MS, began_ms + 5 * MINUTE_MS, 10_000))
    wave = [
        base * (1 + 0.08 * math.sin(i / 6) + 0.03 * math.sin(i * 2.3)) for i in range(len(times))
    ]
    values = tuple(
        jump * (1 + 0.1 * math.sin(i)) if t >= began_ms else v
        for i, (t, v) in enumerate(zip(times, wave, strict=True))
    )
    lows = tuple(base * (0.82 + 0.08 * math.sin(i / 6)) for i in range(len(times)))
    highs = tuple(base * (1.18 + 0.08 * math.sin(i / 6)) for i in range(len(times)))
    return Evidence(
        Labels.of({"__name__": metric, "service": "payment"}), "baseline", unit,
        values[-1], lows[-1], highs[-1], 14.2, 4.0, times, values, lows, highs,
        component="day", once_in_ms=40 * 86_400_000,
    )  # fmt: skip


def alert(
    name: str, service: str, began_ms: int, seen: Evidence | None = None, **labels: str
) -> Alert:
    """A firing alert of the detector."""
    return Alert(
        Labels.of({"alertname": name, "service": service, "severity": "critical", "instance": f"{service}:9100", **labels}),
        "detector", began_ms, began_ms + 5_000,
        summary=because("{metric} of {service} is {value}, expected {low} to {high}", metric="p99 latency", service=service, value="840ms", low="90ms", high="140ms"),
        evidence=seen, generator_url="http://127.0.0.1:9090/graph?g0.expr=up",
    )  # fmt: skip


def incident(
    number: int, state: IncidentState, service: str, opened_ms: int, **more: object
) -> Incident:
    """An incident in some state."""
    ended = state in (IncidentState.RESOLVED, IncidentState.CLOSED)
    values: dict[str, object] = {
        "id": derive_id("incident", number, length=12), "state": state, "state_since_ms": opened_ms,
        "title": because("{service}: p99 latency far above expected", service=service), "service": service,
        "services": (service,), "severity": Severity.CRITICAL if number % 3 else Severity.WARNING,
        "priority": (Priority.P1, Priority.P2, Priority.P3)[number % 3], "impact": 1, "urgency": 2,
        "team": SHOP.get(service).owner, "began_ms": opened_ms - 12_000, "opened_ms": opened_ms,
        "updated_ms": opened_ms + 60_000, "firing_count": 0 if ended else 2, "alert_count": 3,
        "resolved_ms": opened_ms + 840_000 if ended else None,
        "closed_ms": opened_ms + 1_800_000 if state is IncidentState.CLOSED else None,
    }  # fmt: skip
    return Incident(**{**values, **more})  # type: ignore[arg-type]


def main_incident() -> tuple[Incident, list[AlertStatus], Change]:
    """The incident that has everything."""
    began_ms = NOW_MS - 7 * MINUTE_MS
    change = Change(
        "deploy-1",
        began_ms - 90_000,
        "deploy",
        "payment",
        "payment 2.4.1",
        "ann",
        "2.4.1",
        "https://ci.example.org/412",
        "ci",
    )
    first = alert(
        "LatencyAnomaly",
        "payment",
        began_ms,
        evidence("http_request_duration_seconds:p99", "seconds", 0.115, 0.84, began_ms),
    )
    second = alert(
        "ErrorRateAnomaly",
        "checkout",
        began_ms + 20_000,
        evidence("http_errors:ratio", "ratio", 0.004, 0.19, began_ms + 20_000),
    )
    logs = Evidence(
        Labels.of({"__name__": "log_rate"}),
        "lograte",
        lines=("ERROR bank timeout after 800ms order=8123", HOSTILE),
    )
    third = alert(HOSTILE, "payment", began_ms + 25_000, logs, signal="logs")
    item = incident(
        1, IncidentState.OPEN, "payment", began_ms + 14_000, priority=Priority.P1,
        severity=Severity.CRITICAL, services=("payment", "checkout", "gateway"),
        causes=(
            Cause("payment", 0.91, (because("{service} was the first to fail, {seconds} before the others", service="payment", seconds="20s"), because("a change of {service} took effect {before} before", service="payment", before="1m30s"), because("{count} services that fail depend on it", count=2)), "deploy-1"),
            Cause("bank", 0.34, (because("{service} is called by the first that failed", service="bank"),)),
            Cause("checkout", 0.12, (because("it only fails together with what it calls"),)),
        ),
        evidence=(first.summary, second.summary), alert_keys=(first.key, second.key, third.key),
        change_ids=("deploy-1",),
    )  # fmt: skip
    members = [AlertStatus(a, item.id) for a in (first, second, third)]
    return item, members, change


def _history(item: Incident) -> list[TimelineEntry]:
    told = [
        (0, EntryKind.OPENED, "", because("opened: {service} is failing", service="payment")),
        (1_000, EntryKind.TICKET, "", because("ticket {number} opened", number="OPS-1")),
        (1_200, EntryKind.PAGE, "", because("paged {receiver}", receiver="payments")),
        (9_000, EntryKind.JOINED, "", because("{alert} joined: {service} depends on {cause}", alert="ErrorRateAnomaly", service="checkout", cause="payment")),
        (45_000, EntryKind.NOTE, "bob", because("{actor} noted: {text}", actor="bob", text=f"Looking at the deploy. {HOSTILE}")),
        (120_000, EntryKind.SLA, "", because("{ratio} of the response target is spent", ratio="50%")),
    ]  # fmt: skip
    return [
        TimelineEntry(derive_id(item.id, i), item.id, item.opened_ms + after, kind, actor, text)
        for i, (after, kind, actor, text) in enumerate(told)
    ]


def fill(store: Store, *, more: int = 40) -> Incident:
    """Write it all; returns the main incident."""
    item, members, change = main_incident()
    others = [
        incident(
            2,
            IncidentState.ACKNOWLEDGED,
            "catalog",
            NOW_MS - 40 * MINUTE_MS,
            acknowledged_ms=NOW_MS - 35 * MINUTE_MS,
            acknowledged_by="ann",
        )
    ]
    services, states = sorted(SHOP.services), (IncidentState.RESOLVED, IncidentState.CLOSED)
    for number in range(3, 3 + more):
        at_ms = NOW_MS - number * 11 * 3_600_000
        others.append(
            incident(
                number,
                states[number % 2],
                services[number % len(services)],
                at_ms,
                simulated=number > 6,
            )
        )
    with store.records.write() as conn:
        incidents.save(conn, [item, *others])
        alerts.save(conn, members)
        changes.save(conn, [change])
        timeline.save(conn, _history(item))
        clocks.save(conn, [
            SlaClock(item.id, ClockKind.RESPONSE, 15 * MINUTE_MS, item.opened_ms, item.opened_ms),
            SlaClock(item.id, ClockKind.RESOLUTION, 4 * 60 * MINUTE_MS, item.opened_ms, item.opened_ms),
        ])  # fmt: skip
        _around(conn, item)
    return item


def _around(conn: Connection, item: Incident) -> None:
    """What hangs on the main incident: a page, a ticket, a silence, a dead letter."""
    pages.save(
        conn,
        [
            Page(
                "page-1",
                item.id,
                "payments",
                ("ann", "bob"),
                "console",
                "opened",
                "payment: latency",
                item.opened_ms + 1_200,
                True,
            )
        ],
    )
    draft = TicketDraft(
        item.id,
        f"[P1] payment: latency {HOSTILE}",
        f"**What**: p99 latency\n\n- one\n- [x](javascript:alert(1))\n\n{HOSTILE}",
        TicketState.OPEN,
        "P1",
        "payment",
        "payments",
        comment="opened by Tocsin",
    )
    ticket = tickets.create(conn, "builtin", draft, now_ms=item.opened_ms)
    ticket_links.save(conn, [TicketLink(item.id, "builtin", ticket.number, ticket.url)])
    silences.save(
        conn,
        [
            Silence(
                "sil-1",
                (Matcher.parse('alertname="DiskFull"'),),
                NOW_MS - MINUTE_MS,
                NOW_MS + 60 * MINUTE_MS,
                "ann",
                "disk is being replaced",
                NOW_MS,
            )
        ],
    )
    action = Action("dead-1", ActionKind.TICKET_CREATE, item.id, "jira", 1, item.opened_ms)
    outbox.add(conn, [action])
    outbox.dead(conn, "dead-1", now_ms=NOW_MS, error="jira: 400 customfield_10010 is required")
