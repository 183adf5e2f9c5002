"""What can be set about asking a Prometheus, or what speaks as one, for its series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from model.units import Milliseconds, SizeBytes

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where a Prometheus HTTP API is, and how much of an answer is believed.

    Attributes
    ----------
    url : str
        The address without `/api/v1`, such as "http://prometheus:9090"; Thanos, Mimir
        ("http://mimir/prometheus") and VictoriaMetrics answer as well. "": nothing is asked.
    org_id : str
        The tenant, sent as `X-Scope-OrgID` (Mimir, Cortex, Loki).
    bearer_token_file, username, password_file : str
        Credentials; files are read anew for each request.
    ca_file : str
        Certificates to trust instead of the system's.
    timeout_ms : duration
        For a whole answer.
    body_bytes_max : size
        Decoded bytes of one answer.
    tries_max : int
        Attempts at one request, with growing pauses, where another may help.
    selectors : tuple of str
        Which series are asked for, such as `{job=~"shop|db"}`.
    series_max : int
        Series that are taken up; further ones are left out and counted.
    """

    url: str = ""
    org_id: str = ""
    bearer_token_file: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    timeout_ms: Milliseconds = 30_000
    body_bytes_max: SizeBytes = 64 * 2**20
    tries_max: int = 3
    selectors: tuple[str, ...] = ()
    series_max: int = 50_000

    def __post_init__(self) -> None:
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError(f'url must begin with http:// or https://, got "{self.url[:60]}"')
        if self.url.rstrip("/").endswith("/api/v1"):
            raise ValueError("url must be the address without /api/v1")


@dataclass(frozen=True, slots=True)
class BackfillSettings(ApiSettings):
    """What new targets learn from a Prometheus' past before they are judged.

    Attributes
    ----------
    selectors : tuple of str
        What is fetched, such as `{job=~"shop|db"}`; default: by the `job` and `instance` of each target.
    days : int
        How far back.
    coarse_step_ms : duration
        The distance of samples of the distant past.
    fine_ms : duration
        How much of the near past is fetched sample by sample.
    hold_ms : duration
        How long a target's live samples wait for its past; then the distant past is skipped, and after
        as long again the target starts cold.
    series_max : int
        Series that learn at the same time; further ones start cold and are counted.
    samples_max : int
        Samples of one answer, and of what waits to be learnt.
    targets_per_query : int
        Targets of a job that are asked for in one request.
    pause_ratio : float
        After each answer nothing is asked for this many times as long as it took.
    """

    days: int = 14
    coarse_step_ms: Milliseconds = 300_000
    fine_ms: Milliseconds = 3 * 3_600_000
    hold_ms: Milliseconds = 120_000
    samples_max: int = 500_000
    targets_per_query: int = 50
    pause_ratio: float = 0.5

    def __post_init__(self) -> None:
        ApiSettings.__post_init__(self)
        if not 0 <= self.days <= 400:
            raise ValueError("days must lie between 0 and 400")
        if self.coarse_step_ms < 15_000:
            raise ValueError("coarse_step must be at least 15s")
        if self.samples_max < 11_000:
            raise ValueError("samples_max must be at least 11000")

    @property
    def enabled(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.url)


@dataclass(frozen=True, slots=True)
class PollSettings(ApiSettings):
    """A Prometheus whose series are asked for again and again, where targets cannot be scraped.

    Attributes
    ----------
    tries_max : int
        Attempts at one request; what fails now is asked for again at the next interval anyway.
    name : str
        `job` and `service` of its own `up` series, and its name in messages.
    selectors : tuple of str
        Which series, such as `{job="shop"}` or `{job=~"node|shop",__name__!~"go_.*"}`.
    labels : mapping of str to str
        Added to every series that has none of that name, such as `site: east`.
    interval_ms : duration
        How often; as often as that Prometheus scrapes.
    delay_ms : duration
        Samples younger than this are left for the next time: for what is written to it late.
    behind_max_ms : duration
        After an outage, how far back is asked for; older is lost. At most `watermark.lateness`.
    series_max : int
        Series of one selector; further ones are refused and counted.
    """

    name: str = "prometheus"
    labels: Mapping[str, str] = field(default_factory=dict)
    interval_ms: Milliseconds = 15_000
    delay_ms: Milliseconds = 0
    behind_max_ms: Milliseconds = 300_000
    tries_max: int = 1

    def __post_init__(self) -> None:
        ApiSettings.__post_init__(self)
        if not self.url:
            raise ValueError("url must be given")
        if not self.selectors:
            raise ValueError('selectors must name at least one, such as {job="shop"}')
        if any("{" not in one for one in self.selectors):
            raise ValueError('selectors must be written with braces, such as {job="shop"}')
        if self.interval_ms < 1_000:
            raise ValueError("interval must be at least 1s")
