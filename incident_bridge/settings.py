"""What can be set of tickets, pages, promises and reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from model.incident import Priority
from model.units import Milliseconds, SizeBytes

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class SlaPolicy:
    """Promises for the incidents that fit; of a list, the first that fits counts.

    Attributes
    ----------
    priorities : tuple of Priority
        Fits these; empty fits all.
    services : tuple of str
        Fits incidents whose culprit is one of these; empty fits all.
    tiers : tuple of int
        Fits services of these tiers; empty fits all.
    response_ms, resolution_ms : int
        How soon somebody must have acknowledged, and how soon it must be resolved; 0 promises nothing.
    """

    priorities: tuple[Priority, ...] = ()
    services: tuple[str, ...] = ()
    tiers: tuple[int, ...] = ()
    response_ms: Milliseconds = 0
    resolution_ms: Milliseconds = 0


@dataclass(frozen=True, slots=True)
class SlaSettings:
    """Promises and when to warn of them.

    Attributes
    ----------
    policies : tuple of SlaPolicy
        Tried in order; put exceptions (a service, a tier) before the rule.
    warn_ratios : tuple of float
        Parts of a target at whose passing a warning is given, once each.
    page_on_breach : bool
        Page those already told when a target runs out.
    """

    policies: tuple[SlaPolicy, ...] = (
        SlaPolicy((Priority.P1,), response_ms=15 * MINUTE_MS, resolution_ms=4 * HOUR_MS),
        SlaPolicy((Priority.P2,), response_ms=30 * MINUTE_MS, resolution_ms=8 * HOUR_MS),
        SlaPolicy((Priority.P3,), response_ms=4 * HOUR_MS, resolution_ms=2 * DAY_MS),
        SlaPolicy((Priority.P4,), response_ms=DAY_MS, resolution_ms=7 * DAY_MS),
    )
    warn_ratios: tuple[float, ...] = (0.5, 0.75, 0.9)
    page_on_breach: bool = True


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """A node of the routing tree, as in Alertmanager; what is not set is inherited from the parent.

    Attributes
    ----------
    match : tuple of str
        Matchers (`service="cart"`, `priority=~"P1|P2"`) that must all pass. Labels of an incident:
        service, team, severity, priority, tier, and simulated="true" where it is.
    continue_ : bool
        Look at the following siblings too.
    receiver : str
        Who is paged; "@team" stands for the receivers of the service's owner.
    desks : tuple of str
        Where the ticket is opened; ("none",) for no ticket.
    repeat_interval_ms : int
        Page again while nobody acknowledges; 0 never.
    escalate_after_ms : int
        Page `escalate_to` when nobody has acknowledged for so long; 0 never.
    escalate_to : tuple of str
        Receivers to escalate to.
    priority_min : Priority
        Page only from this priority on (P2: P1 and P2).
    mute_simulated : bool
        Do not page for simulated incidents.
    send_resolved : bool
        Tell those who were paged that it is over.
    routes : tuple of RouteSettings
        Children; the deepest that matches decides.
    """

    match: tuple[str, ...] = ()
    continue_: bool = False
    receiver: str = ""
    desks: tuple[str, ...] | None = None
    repeat_interval_ms: Milliseconds | None = None
    escalate_after_ms: Milliseconds | None = None
    escalate_to: tuple[str, ...] | None = None
    priority_min: Priority | None = None
    mute_simulated: bool | None = None
    send_resolved: bool | None = None
    routes: tuple[RouteSettings, ...] = ()


class ReceiverKind(StrEnum):
    """How a receiver is reached."""

    CONSOLE = "console"  # shown in the console; the page row is the delivery
    APPRISE = "apprise"  # any of Apprise's services, by URL
    WEBHOOK = "webhook"  # a signed JSON POST


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """Somebody who can be paged.

    Attributes
    ----------
    people : tuple of str
        Accounts whose pages these are, as shown on the incident.
    teams : tuple of str
        Teams whose members are meant.
    urls_file : str
        Apprise: a file with one URL a line (they carry secrets).
    url : str
        Webhook: where to POST.
    secret_files : tuple of str
        Webhook: files with signing secrets; more than one while they are being exchanged.
    allow_private : bool
        Webhook: the address may be private or loopback.
    timeout_ms : int
        Give up on an attempt after this long.
    """

    name: str = "console"
    kind: ReceiverKind = ReceiverKind.CONSOLE
    people: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    urls_file: str = ""
    url: str = ""
    secret_files: tuple[str, ...] = ()
    allow_private: bool = False
    timeout_ms: Milliseconds = 10_000


class DeskKind(StrEnum):
    """What kind of ITSM system a desk is."""

    BUILTIN = "builtin"
    WEBHOOK = "webhook"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """A place where tickets are opened.

    Attributes
    ----------
    prefix : str
        Built-in desk: tickets are numbered PREFIX-1, PREFIX-2, …
    url : str
        Webhook: the endpoint of docs/tickets-and-pages.md.
    secret_files : tuple of str
        Webhook: files with signing secrets; more than one while they are being exchanged.
    allow_private : bool
        Webhook: the address may be private or loopback.
    simulated : bool
        Whether simulated incidents get tickets here.
    poll_interval_ms : int
        How often to ask what people changed there; 0 never.
    """

    name: str = "builtin"
    kind: DeskKind = DeskKind.BUILTIN
    prefix: str = "OPS"
    url: str = ""
    secret_files: tuple[str, ...] = ()
    allow_private: bool = False
    simulated: bool = False
    timeout_ms: Milliseconds = 10_000
    poll_interval_ms: Milliseconds = 60_000


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """How long to try, and how often.

    Attributes
    ----------
    first_ms, longest_ms : int
        Delay after the first failure; it doubles up to the longest.
    tries_max : int
        Attempts before an action becomes a dead letter; 0 for no limit but age.
    age_max_ms : int
        Age at which an action that still fails becomes a dead letter.
    workers_per_target : int
        Threads for each desk and receiver.
    batch_max : int
        Actions taken up at a time.
    response_bytes_max : int
        Bytes read of an answer.
    """

    first_ms: Milliseconds = 2_000
    longest_ms: Milliseconds = 5 * MINUTE_MS
    tries_max: int = 0
    age_max_ms: Milliseconds = DAY_MS
    workers_per_target: int = 2
    batch_max: int = 200
    response_bytes_max: SizeBytes = 1 << 20


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """What reports measure against.

    Attributes
    ----------
    availability_target : float
        Ratio of time a service shall be free of P1 and P2 incidents.
    repeat_causes_max : int
        Length of the list of repeat causes.
    incidents_max : int
        Incidents read for one report; beyond it the report says that it is cut.
    """

    availability_target: float = 0.999
    repeat_causes_max: int = 20
    incidents_max: int = 100_000


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """Incidents to tickets and pages.

    Attributes
    ----------
    close_after_ms : int
        A resolved incident closes by itself after this long.
    update_interval_ms : int
        A ticket is told of changes other than of state at most this often.
    notes_max : int
        Ticket updates after which only one per `hold_ms` is made (flapping).
    hold_ms : int
        How long a flapping incident's ticket and receivers are left alone between changes.
    keep_closed_ms : int
        How long closed incidents stay in memory, for acts and repeats.
    incidents_max : int
        Incidents in memory; beyond it the longest closed are forgotten first.
    external_url : str
        Where people reach the console; begins links in tickets and pages.
    language : str
        Of tickets and pages: "en" or "zh_CN".
    desks, receivers : tuples
        The desks and receivers that routes may name.
    """

    close_after_ms: Milliseconds = 15 * MINUTE_MS
    update_interval_ms: Milliseconds = MINUTE_MS
    notes_max: int = 20
    hold_ms: Milliseconds = 10 * MINUTE_MS
    keep_closed_ms: Milliseconds = 7 * DAY_MS
    incidents_max: int = 20_000
    external_url: str = "http://127.0.0.1:8420"
    language: str = "en"
    desks: tuple[DeskSettings, ...] = (DeskSettings(simulated=True),)
    receivers: tuple[ReceiverSettings, ...] = (ReceiverSettings(),)
    retry: RetrySettings = RetrySettings()
    report: ReportSettings = ReportSettings()
