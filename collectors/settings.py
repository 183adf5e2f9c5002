"""What can be set about collecting; each component takes its part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from collectors.masking import DEFAULT, RULES
from model.units import Milliseconds, SizeBytes


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """One address that answers with metrics.

    Attributes
    ----------
    url : str
        Where to ask, such as "http://127.0.0.1:9100/metrics".
    job : str
        The `job` label; "" takes the host name of `url`.
    instance : str
        The `instance` label; "" takes host and port of `url`.
    service : str
        The `service` label: the name in the catalogue. "" leaves it to the `job` label.
    labels : mapping of str to str
        More labels for every series of the target.
    interval_ms, timeout_ms : duration
        0 takes `ScrapeSettings`'. A timeout longer than the interval is cut to it.
    honor_labels : bool
        Whether a label the target sends wins over one of ours; otherwise it is kept as `exported_…`.
    honor_timestamps : bool
        Whether the target's own timestamps are used.
    bearer_token_file, username, password_file : str
        Credentials; files are read anew for each scrape, so that a rotated secret is picked up.
    """

    url: str
    job: str = ""
    instance: str = ""
    service: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    interval_ms: Milliseconds = 0
    timeout_ms: Milliseconds = 0
    honor_labels: bool = False
    honor_timestamps: bool = True
    bearer_token_file: str = ""
    username: str = ""
    password_file: str = ""


@dataclass(frozen=True, slots=True)
class FileTargets:
    """Targets listed in files, in Prometheus' `file_sd` form (JSON or YAML), read again on change.

    Attributes
    ----------
    files : tuple of str
        Paths; a `*` in the last part is expanded.
    job, service, labels, interval_ms, timeout_ms, honor_labels, bearer_token_file
        As in `ScrapeTarget`, for every target of the files; a label of the file wins.
    scheme, metrics_path : str
        Make the address of a target "host:port" into a URL.
    """

    files: tuple[str, ...]
    job: str = ""
    service: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    scheme: str = "http"
    metrics_path: str = "/metrics"
    interval_ms: Milliseconds = 0
    timeout_ms: Milliseconds = 0
    honor_labels: bool = False
    bearer_token_file: str = ""


@dataclass(frozen=True, slots=True)
class ScrapeSettings:
    """Which targets are scraped, how often, and how much of one is believed.

    Attributes
    ----------
    targets : tuple of ScrapeTarget
        Fixed targets.
    discovery : tuple of FileTargets
        Targets that are listed in files.
    interval_ms, timeout_ms : duration
        Where the target sets none.
    discovery_interval_ms : duration
        How often the files are looked at.
    body_bytes_max : size
        Decoded bytes of one answer; a longer one fails the scrape.
    series_max : int
        Series of one target; beyond it samples are dropped and counted.
    labels_max, label_bytes_max : int
        Labels of one series, characters of one label; a series beyond either is a bad line.
    workers : int
        Scrapes that may wait for an answer at the same time.
    targets_max : int
        Targets in all; beyond it they are left out and reported.
    """

    targets: tuple[ScrapeTarget, ...] = ()
    discovery: tuple[FileTargets, ...] = ()
    interval_ms: Milliseconds = 15_000
    timeout_ms: Milliseconds = 10_000
    discovery_interval_ms: Milliseconds = 5_000
    body_bytes_max: SizeBytes = 32 * 2**20
    series_max: int = 50_000
    labels_max: int = 64
    label_bytes_max: SizeBytes = 4_096
    workers: int = 16
    targets_max: int = 5_000


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What is read of the machine itself.

    Attributes
    ----------
    enabled : bool
        Whether the host is watched.
    interval_ms : duration
    service, instance : str
        Labels of its series; `instance` "" takes the host's name.
    per_cpu : bool
        One series per CPU and mode; otherwise the sum over CPUs, without a `cpu` label.
    devices_max : int
        Disks, network interfaces and mount points, each; more are left out and counted.
    """

    enabled: bool = True
    interval_ms: Milliseconds = 15_000
    service: str = "host"
    instance: str = ""
    per_cpu: bool = False
    devices_max: int = 64


@dataclass(frozen=True, slots=True)
class SelfSettings:
    """Whether and how often Tocsin looks at its own metrics."""

    enabled: bool = True
    interval_ms: Milliseconds = 15_000


@dataclass(frozen=True, slots=True)
class LogSource:
    """Log files that are followed.

    Attributes
    ----------
    paths : tuple of str
        Paths or patterns (`*`, `?`, `[…]`, `**`).
    service : str
        Service of lines that do not name one; "" takes the file's name up to the first dot.
    from_start : bool
        Whether a file seen for the first time when we start is read from its beginning.
        A file that appears later always is.
    """

    paths: tuple[str, ...]
    service: str = ""
    from_start: bool = False


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How log files are read.

    Attributes
    ----------
    sources : tuple of LogSource
        What is followed.
    discovery_interval_ms : duration
        How often patterns are expanded again.
    read_bytes_max, file_bytes_max : size
        Bytes read in one poll, in all and of one file.
    line_bytes_max : size
        A longer line is cut there; the rest of it is skipped and counted.
    message_chars_max : int
        Characters of a message that are kept.
    joined_lines_max : int
        Lines of one stack trace that are joined to the line before.
    rotated_wait_ms : duration
        How long a file is still read after it was renamed or deleted.
    files_max : int
        Files followed at once.
    mask : tuple of str
        What is replaced by `***` in lines before they are kept or mined: rules out of secrets,
        tokens, email, ipv4, ipv6, card and phone.
    """

    sources: tuple[LogSource, ...] = ()
    discovery_interval_ms: Milliseconds = 2_000
    read_bytes_max: SizeBytes = 8 * 2**20
    file_bytes_max: SizeBytes = 2 * 2**20
    line_bytes_max: SizeBytes = 64 * 2**10
    message_chars_max: int = 4_096
    joined_lines_max: int = 200
    rotated_wait_ms: Milliseconds = 10_000
    files_max: int = 1_000
    mask: tuple[str, ...] = DEFAULT

    def __post_init__(self) -> None:
        if unknown := [name for name in self.mask if name not in RULES]:
            raise ValueError(f"mask: unknown rule {unknown[0]!r}; there are {', '.join(RULES)}")


@dataclass(frozen=True, slots=True)
class TemplateSettings:
    """Bounds and sensitivities of the log template miner.

    Attributes
    ----------
    templates_max : int
        Templates; lines that would need one more are counted and share template 0.
    keys_max : int
        Remembered forms of lines (the fast path); the memory starts anew beyond it.
    contexts_max : int
        Places whose values are counted; the older half is forgotten beyond it.
    tokens_max : int
        Words of a message that are looked at; the rest counts as one parameter.
    identifiers_min, names_min, words_min, first_words_min : int
        Distinct values in an otherwise equal line after which a position is a parameter: values that
        look like identifiers, words behind "user", "for" and the like, other words, and words at the
        very front.
    """

    templates_max: int = 20_000
    keys_max: int = 100_000
    contexts_max: int = 200_000
    tokens_max: int = 64
    identifiers_min: int = 4
    names_min: int = 3
    words_min: int = 6
    first_words_min: int = 12


@dataclass(frozen=True, slots=True)
class WatermarkSettings:
    """Which event times are believed.

    Attributes
    ----------
    lateness_ms : duration
        A sample that is older than this on arrival is late: dropped and counted.
    log_lateness_ms : duration
        The same for log lines, which may have waited in a file while we were down.
    future_ms : duration
        A time further ahead than this is dropped and counted.
    """

    lateness_ms: Milliseconds = 600_000
    log_lateness_ms: Milliseconds = 3_600_000
    future_ms: Milliseconds = 60_000


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """How much of a pushed body is believed; beyond any of these it is refused.

    Attributes
    ----------
    body_bytes_max : size
    depth_max : int
        Objects and arrays inside each other.
    values_max : int
        Values (keys included) in the whole body.
    text_chars_max : int
        Characters of one string.
    items_max : int
        Alerts or changes in one body.
    heartbeats_max : int
        Heartbeats that are watched.
    series_max : int
        Series in one body of metrics.
    """

    body_bytes_max: SizeBytes = 4 * 2**20
    depth_max: int = 32
    values_max: int = 200_000
    text_chars_max: int = 65_536
    items_max: int = 10_000
    heartbeats_max: int = 10_000
    series_max: int = 200_000
