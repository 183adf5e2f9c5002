"""What can be set of grouping, quiet and cause."""

from __future__ import annotations

from dataclasses import dataclass

from model.units import Milliseconds


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """While an alert that matches `source` fires, alerts that match `target` are muted.

    Attributes
    ----------
    source, target : tuple of str
        Matchers in Alertmanager's notation (`severity="critical"`), all of which must pass.
    equal : tuple of str
        Labels that both alerts must have with the same value; a missing label counts as empty.
    name : str
        Shown as what mutes the alert; "" takes its number in the list.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    equal: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class CorrelatorSettings:
    """How alerts become incidents.

    Attributes
    ----------
    group_wait_ms : duration
        How long the first alerts of an incident wait for companions before it opens.
    group_wait_critical_ms : duration
        The same for a critical alert that says a service does not answer.
    group_window_ms : duration
        An alert of a connected service joins an incident if it began this close to the latest
        event of it.
    group_interval_ms : duration
        News that changes only numbers (more alerts of the same kind, some resolved) is told this
        long after what was told before.
    graph_distance_max : int
        Calls between two services, up to which they count as connected.
    group_by : tuple of str
        Labels by which alerts group whose service the catalogue does not know.
    infrastructure_services : tuple of str
        Services that are the ground others stand on; their alerts join what they may explain.
    resolve_window_ms : duration
        An incident is quiet once no alert of it fired for this long.
    reopen_window_ms : duration
        A quiet incident whose alert fires again within this time is the same incident.
    remember_ms : duration
        How long a resolved alert is remembered, so that a new incident can point to its last.
    flap_changes_max : int
        An alert that changes more often than this within `flap_window` is flapping.
    flap_window_ms, flap_stable_ms : duration
        A flapping incident stays open until nothing has changed for `flap_stable`.
    change_window_ms : duration
        A change this long before the trouble began is a suspect.
    order_tolerance_ms : duration
        Alerts this close together began at the same time, as far as we can tell: a scrape
        interval or two.
    explain_lag_ms : duration
        A callee whose trouble was noticed at most this much later can still explain its caller's.
    start_age_max_ms : duration
        A start longer ago than this (seconds taken for milliseconds, a null date) is not believed.
    inhibit : tuple of InhibitRule
        Which alerts mute which.
    separate_domains : bool
        Trouble never joins, and never mutes, across correlation domains: the connected parts of the
        catalogue, or what its `domain` says; whatever the catalogue does not list is a domain of its own.
        Several who decide (`kafka.domains`) need it.
    alert_keys_max : int
        Members named in one grouping.
    alerts_max : int
        Alerts remembered in all. Beyond it the resolved ones that ended first are forgotten; where
        all fire, new ones are counted and refused.
    changes_per_service_max : int
        Changes remembered of one service; the oldest go first.
    """

    group_wait_ms: Milliseconds = 10_000
    group_wait_critical_ms: Milliseconds = 2_000
    group_window_ms: Milliseconds = 300_000
    group_interval_ms: Milliseconds = 30_000
    graph_distance_max: int = 2
    group_by: tuple[str, ...] = ("alertname", "cluster", "service")
    infrastructure_services: tuple[str, ...] = ("host", "node")
    resolve_window_ms: Milliseconds = 120_000
    reopen_window_ms: Milliseconds = 1_800_000
    remember_ms: Milliseconds = 86_400_000
    flap_changes_max: int = 6
    flap_window_ms: Milliseconds = 600_000
    flap_stable_ms: Milliseconds = 600_000
    change_window_ms: Milliseconds = 900_000
    order_tolerance_ms: Milliseconds = 5_000
    explain_lag_ms: Milliseconds = 45_000
    start_age_max_ms: Milliseconds = 31_536_000_000
    inhibit: tuple[InhibitRule, ...] = ()
    separate_domains: bool = False
    alert_keys_max: int = 50
    alerts_max: int = 100_000
    changes_per_service_max: int = 100
