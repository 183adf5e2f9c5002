"""What can be set about asking a Zabbix for its problems, and telling it what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from model.units import Milliseconds, SizeBytes


class ZabbixSeverity(StrEnum):
    """Zabbix's severities, as its frontend names them."""

    NOT_CLASSIFIED = "not_classified"
    INFORMATION = "information"
    WARNING = "warning"
    AVERAGE = "average"
    HIGH = "high"
    DISASTER = "disaster"

    @property
    def rank(self) -> int:
        """0 … 5, as in the API."""
        return list(ZabbixSeverity).index(self)


@dataclass(frozen=True, slots=True)
class ZabbixSettings:
    """A Zabbix whose problems become alerts, by its JSON-RPC API.

    Attributes
    ----------
    url : str
        The frontend's address, such as "https://zabbix.example/zabbix", without api_jsonrpc.php.
    name : str
        Source of the alerts, `job` and `service` of its own `up` series, and its name in messages. The same as
        the webhook's token, where that is used as well: then a problem that comes through both is one alert.
    token_file : str
        An API token (Zabbix 5.4 and later), read anew for each request.
    username, password_file : str
        Instead of a token: a user that logs in.
    ca_file : str
        Certificates to trust instead of the system's.
    interval_ms : duration
        How often problems are asked for.
    timeout_ms : duration
        For a whole answer.
    severity_min : ZabbixSeverity
        Problems below it are left where they are.
    host_groups : tuple of str
        Only problems of hosts in these groups, by name; empty takes all that the user may see.
    suppressed : bool
        Also take problems that a maintenance suppresses.
    acknowledge : bool
        Tell Zabbix what became of its problems: acknowledged, resolved by a person, the ticket's number.
    behind_max_ms : duration
        After an outage, how far back problems are looked for that came and went meanwhile.
    page_size : int
        Problems of one answer.
    problems_max : int
        Open problems that are followed; further ones are left out and counted.
    body_bytes_max : size
        Decoded bytes of one answer.
    """

    url: str = ""
    name: str = "zabbix"
    token_file: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    interval_ms: Milliseconds = 15_000
    timeout_ms: Milliseconds = 20_000
    severity_min: ZabbixSeverity = ZabbixSeverity.NOT_CLASSIFIED
    host_groups: tuple[str, ...] = ()
    suppressed: bool = False
    acknowledge: bool = True
    behind_max_ms: Milliseconds = 86_400_000
    page_size: int = 1_000
    problems_max: int = 20_000
    body_bytes_max: SizeBytes = 32 * 2**20

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f'url must begin with http:// or https://, got "{self.url[:60]}"')
        if self.url.rstrip("/").endswith(".php"):
            raise ValueError("url must be the frontend's address, without api_jsonrpc.php")
        if not self.name:
            raise ValueError("name must not be empty")
        if bool(self.token_file) == bool(self.username):
            raise ValueError("token_file must be given, or username and password_file; not both")
        if self.username and not self.password_file:
            raise ValueError("password_file must be given with username")
        if self.interval_ms < 1_000:
            raise ValueError("interval must be at least 1s")
        if not 1 <= self.page_size <= 10_000:
            raise ValueError("page_size must lie between 1 and 10000")
        if self.problems_max < 1:
            raise ValueError("problems_max must be at least 1")
