"""What can run out, by the names of its metrics: data, with the reason for each number.

A resource is a pair of series (used and limit, or free and limit) with the same labels, a ratio, or a
level without a limit (a queue). Names are those that exporters in wide use give; the general rules at
the end take what is named alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from model.labels import Labels
from model.reason import gettext
from model.series import NAME

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000


class Part(IntEnum):
    """What a series says of its resource."""

    USED = 0
    FREE = 1
    LIMIT = 2
    RATIO = 3


@dataclass(frozen=True, slots=True)
class Resource:
    """How one kind of resource is judged.

    Attributes
    ----------
    template : str
        The sentence of its alert.
    least : float
        Below this share used nothing is told.
    young_ms
        Nothing is told before so much of its past is known.
    window_ms_least
        A trend over less than this is not believed.
    """

    name: str
    alertname: str
    template: str
    least: float = 0.5
    young_ms: int = 0
    window_ms_least: int = 0


# What follows the day (load, and with it memory and connections) climbs every morning: a day is seen first.
_A_DAY_MS = 26 * _HOUR_MS

RESOURCES: tuple[Resource, ...] = (
    Resource(
        "disk",
        "DiskWillFill",
        gettext(
            "{place} on {host} is full in about {time} (between {early} and {late}) "
            "if it goes on like the last {window}; {used} used now"
        ),
    ),
    Resource(
        "inodes",
        "InodesWillRunOut",
        gettext(
            "{place} on {host} has no inodes left in about {time} (between {early} and {late}) "
            "if it goes on like the last {window}; {used} used now"
        ),
    ),
    Resource(
        "volume",
        "VolumeWillFill",
        gettext(
            "volume {place} is full in about {time} (between {early} and {late}) "
            "if it goes on like the last {window}; {used} used now"
        ),
    ),
    Resource(
        "quota",
        "QuotaWillRunOut",
        gettext(
            "the quota {place} of {service} ({metric}) is used up in about {time} "
            "(between {early} and {late}) if it goes on like the last {window}; {used} used now"
        ),
        least=0.6,  # quotas are meant to be used
        window_ms_least=_HOUR_MS,  # a deploy takes a step of a quota, and no more
    ),
    Resource(
        "file descriptors",
        "FileDescriptorsWillRunOut",
        gettext(
            "{service} ({place}) has no file descriptors left in about {time} (between {early} and "
            "{late}) if it goes on like the last {window}; {used} used now"
        ),
        young_ms=2 * _HOUR_MS,  # a process that starts opens its files
        window_ms_least=_HOUR_MS,
    ),
    Resource(
        "connections",
        "ConnectionsWillRunOut",
        gettext(
            "{service} ({place}) has no connections left in about {time} (between {early} and {late}) "
            "if it goes on like the last {window}; {used} used now"
        ),
        young_ms=_A_DAY_MS,
        window_ms_least=_HOUR_MS,
    ),
    Resource(
        "memory",
        "MemoryWillRunOut",
        gettext(
            "the memory of {service} ({place}) is used up in about {time} (between {early} and {late}) "
            "if it goes on like the last {window}; {used} used now"
        ),
        least=0.7,
        young_ms=_A_DAY_MS,
        window_ms_least=6 * _HOUR_MS,  # caches fill within hours, by intention
    ),
    Resource(
        "heap",
        "HeapWillFill",
        gettext(
            "the heap of {service} ({place}) is full in about {time} (between {early} and {late}) "
            "if it goes on like the last {window}; {used} used now"
        ),
        least=0.7,  # a collector lets it fill that far before it works
        young_ms=_A_DAY_MS,
        window_ms_least=12 * _HOUR_MS,
    ),
    Resource(
        "queue",
        "QueueGrowing",
        gettext(
            "{metric} of {service} ({place}) is full in about {time} (between {early} and {late}) "
            "if it goes on like the last {window}; {used} used now"
        ),
        least=0.3,
        young_ms=_HOUR_MS // 2,
        window_ms_least=_HOUR_MS
        // 2,  # a burst that is drained within minutes is what queues are for
    ),
)
RESOURCE_NUMBER = {resource.name: number for number, resource in enumerate(RESOURCES)}

BACKLOG_TEMPLATE = gettext(
    "{metric} of {service} ({place}) grows faster than it is drained: {used} now, "
    "{before} {window} ago; at this pace {later} in another {window}"
)
BACKLOG_LEAST = 100.0  # items; fewer are no backlog whatever they do

_NO_DISKS = ("tmpfs", "squashfs", "overlay", "ramfs", "iso9660")


@dataclass(frozen=True, slots=True)
class Rule:
    """Names that are a part of a resource; group `a` (and `b`) of the pattern is what its parts share."""

    pattern: re.Pattern[str]
    resource: str
    part: Part


def _rule(pattern: str, resource: str, part: Part) -> Rule:
    return Rule(re.compile(rf"^(?:{pattern})$"), resource, part)


_USED, _FREE, _LIMIT, _RATIO = Part.USED, Part.FREE, Part.LIMIT, Part.RATIO
_MAXIMA = "limit|max|maximum|capacity|quota|hard"
_LINES = "queue|backlog|lag"

RULES: tuple[Rule, ...] = (
    _rule("(?P<a>disk)_used_ratio", "disk", _RATIO),  # derived
    _rule("(?P<a>host_memory)_used_ratio", "memory", _RATIO),  # derived
    _rule("(?P<a>node_filesystem_files)_free", "inodes", _FREE),
    _rule("(?P<a>node_filesystem_files)", "inodes", _LIMIT),
    _rule("(?P<a>kubelet_volume_stats)_available_bytes", "volume", _FREE),
    _rule("(?P<a>kubelet_volume_stats)_capacity_bytes", "volume", _LIMIT),
    _rule("(?P<a>kubelet_volume_stats_inodes)_free", "inodes", _FREE),
    _rule("(?P<a>kubelet_volume_stats_inodes)", "inodes", _LIMIT),
    _rule("(?P<a>elasticsearch_filesystem_data)_available_bytes", "disk", _FREE),
    _rule("(?P<a>elasticsearch_filesystem_data)_size_bytes", "disk", _LIMIT),
    _rule("(?P<a>process)_open_fds", "file descriptors", _USED),
    _rule("(?P<a>process)_max_fds", "file descriptors", _LIMIT),
    _rule("(?P<a>process_files)_open(_files)?", "file descriptors", _USED),  # Micrometer
    _rule("(?P<a>process_files)_max(_files)?", "file descriptors", _LIMIT),
    _rule("(?P<a>node_filefd)_allocated", "file descriptors", _USED),
    _rule("(?P<a>node_filefd)_maximum", "file descriptors", _LIMIT),
    _rule("(?P<a>node_nf_conntrack_entries)", "connections", _USED),
    _rule("(?P<a>node_nf_conntrack_entries)_limit", "connections", _LIMIT),
    _rule("(?P<a>mysql)_global_status_threads_connected", "connections", _USED),
    _rule("(?P<a>mysql)_global_variables_max_connections", "connections", _LIMIT),
    _rule("(?P<a>redis)_connected_clients", "connections", _USED),
    _rule("(?P<a>redis)_config_maxclients", "connections", _LIMIT),
    _rule("(?P<a>go_sql_stats_connections)_in_use", "connections", _USED),
    _rule("(?P<a>go_sql_stats_connections)_max_open", "connections", _LIMIT),
    _rule("(?P<a>.+_connections)_(active|in_use|used|current)", "connections", _USED),
    _rule(f"(?P<a>.+_connections)_({_MAXIMA})", "connections", _LIMIT),
    _rule("(?P<a>jvm_memory)(_bytes_used|_used_bytes)", "heap", _USED),
    _rule("(?P<a>jvm_memory)(_bytes_max|_max_bytes)", "heap", _LIMIT),
    _rule("(?P<a>container)_memory_working_set_bytes", "memory", _USED),
    _rule("(?P<a>container)_spec_memory_limit_bytes", "memory", _LIMIT),
    _rule("(?P<a>kafka_consumergroup)_lag(_sum)?", "queue", _USED),
    _rule("(?P<a>rabbitmq_queue)_messages", "queue", _USED),
    _rule(
        f"(?P<a>(.+_)?({_LINES}))(_(length|depth|size|items|jobs|tasks|messages))?", "queue", _USED
    ),
    _rule(f"(?P<a>(.+_)?({_LINES}))(_(length|depth|size))?_({_MAXIMA})", "queue", _LIMIT),
    _rule("(?P<a>.+?)_(used|usage|in_use)(?P<b>_[a-z]+)?", "quota", _USED),
    _rule(f"(?P<a>.+?)_({_MAXIMA})(?P<b>_[a-z]+)?", "quota", _LIMIT),
)

# Caches and buffers fill up and stay full: that is what they are for. CPU limits throttle, they do not run
# out. Times and rates are no stock. Our own metrics are for telemetry.py.
_NEVER = re.compile(
    r"cache|buffer|redis_memory|swap|cpu|seconds|_total$|_ratio$|percent|^tocsin_|^go_"
)
_KEPT = ("disk_used_ratio", "host_memory_used_ratio", "go_sql_stats_connections_")


@dataclass(frozen=True, slots=True)
class Found:
    """A series recognised: which resource, which part, and what its parts have in common."""

    resource: int
    part: Part
    key: Labels


@lru_cache(maxsize=10_000)
def _rule_of(name: str) -> tuple[Rule, str] | None:
    if _NEVER.search(name) and not name.startswith(_KEPT):
        return None
    for rule in RULES:
        if match := rule.pattern.match(name):
            groups = match.groupdict()
            return rule, groups["a"] + (groups.get("b") or "")
    return None


def recognise(labels: Labels) -> Found | None:
    """What a series says of a resource; None where it is none.

    Examples
    --------
    >>> used = recognise(Labels.of({"__name__": "app_storage_used_bytes", "tenant": "a"}))
    >>> limit = recognise(Labels.of({"__name__": "app_storage_limit_bytes", "tenant": "a"}))
    >>> used.key == limit.key, used.part.name, limit.part.name
    (True, 'USED', 'LIMIT')
    """
    name = labels.get(NAME, "")
    if name == "kube_resourcequota":
        part = {"used": Part.USED, "hard": Part.LIMIT}.get(labels.get("type", ""))
        if part is None:
            return None
        return Found(RESOURCE_NUMBER["quota"], part, labels.without("type"))
    ruled = _rule_of(name)
    if ruled is None or not _counts(name, labels):
        return None
    rule, stem = ruled
    return Found(RESOURCE_NUMBER[rule.resource], rule.part, labels.with_(**{NAME: stem}))


def _counts(name: str, labels: Labels) -> bool:
    """Whether it is one of those that are worth a forecast."""
    if name.startswith("node_filesystem"):
        return labels.get("fstype", "") not in _NO_DISKS
    if name.startswith("jvm_memory"):
        pool = labels.get("id", "")  # a young generation fills by design, every few seconds
        return labels.get("area", "heap") == "heap" and (not pool or "Old" in pool)
    if name.startswith("container_"):
        return bool(labels.get("container", labels.get("name", "")))  # not the sum over a pod
    return "quantile" not in labels and "le" not in labels
