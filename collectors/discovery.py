"""Which targets are scraped: fixed ones, and those listed in `file_sd` files."""

from __future__ import annotations

import glob
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import yaml

from collectors.base import Problems
from collectors.settings import FileTargets, ScrapeSettings, ScrapeTarget
from model.errors import InputError, LabelError
from model.labels import Labels
from model.reason import because

_FILE_BYTES_MAX = 8 * 2**20


@dataclass(frozen=True, slots=True)
class _Seen:
    stamp: tuple[int, int, int]
    targets: tuple[ScrapeTarget, ...]


class Discovery:
    """Lists targets; a file that turns bad keeps the list it had, and is reported."""

    def __init__(self, settings: ScrapeSettings, problems: Problems) -> None:
        self.refused = 0
        self._settings = settings
        self._problems = problems
        self._files: dict[tuple[int, str], _Seen] = {}
        self._next_ms: int | None = None
        self._last: tuple[ScrapeTarget, ...] | None = None

    def poll(self, now_ms: int) -> tuple[ScrapeTarget, ...] | None:
        """All targets if they may have changed since the last call, else None."""
        if self._next_ms is not None and (now_ms < self._next_ms or not self._settings.discovery):
            return None
        self._next_ms = now_ms + self._settings.discovery_interval_ms
        targets = list(self._settings.targets)
        for number, source in enumerate(self._settings.discovery):
            targets += self._from_files(number, source, now_ms)
        self.refused = max(0, len(targets) - self._settings.targets_max)
        if self.refused:
            why = because("{count} targets beyond targets_max are left out", count=self.refused)
            self._problems.note("targets", "limit", why, now_ms=now_ms)
        else:
            self._problems.mend("targets", "limit")
        current = tuple(targets[: self._settings.targets_max])
        if current == self._last:
            return None
        self._last = current
        return current

    def _from_files(self, number: int, source: FileTargets, now_ms: int) -> list[ScrapeTarget]:
        targets: list[ScrapeTarget] = []
        for pattern in source.files:
            paths = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
            for path in paths:
                targets += self._read(number, source, path, now_ms)
        return targets

    def _read(
        self, number: int, source: FileTargets, path: str, now_ms: int
    ) -> tuple[ScrapeTarget, ...]:
        seen = self._files.get((number, path))
        try:
            status = Path(path).stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen is not None and seen.stamp == stamp:
                return seen.targets
            if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
                raise InputError(f"{path}: is no regular file")
            if status.st_size > _FILE_BYTES_MAX:
                raise InputError(f"{path}: longer than {_FILE_BYTES_MAX} bytes")
            targets = parse_file_sd(Path(path).read_text(encoding="utf-8"), path, source)
        except (OSError, ValueError, InputError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            why = because("{path} was not taken over: {error}", path=path, error=said)
            self._problems.note(path, "discovery", why, now_ms=now_ms)
            return seen.targets if seen is not None else ()
        self._problems.mend(path, "discovery")
        self._files[(number, path)] = _Seen(stamp, targets)
        return targets


class _NoAliases(yaml.SafeLoader):
    """Aliases are not needed in lists of targets, and a few lines of them make gigabytes (A10)."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are refused")
        return super().compose_node(parent, index)


def parse_file_sd(text: str, path: str, source: FileTargets) -> tuple[ScrapeTarget, ...]:
    """Read a `file_sd` file: a list of `{targets: [host:port, …], labels: {…}}`, JSON or YAML.

    Labels `__scheme__` and `__metrics_path__` are understood; others that begin with `__` are dropped.

    Raises
    ------
    InputError
        Every problem of the file, one a line.

    Examples
    --------
    >>> [t.url for t in parse_file_sd('[{"targets": ["db1:9100"]}]', "f", FileTargets(("f",)))]
    ['http://db1:9100/metrics']
    """
    try:
        try:
            data = orjson.loads(text)  # long lists are JSON as a rule, and YAML is slow
        except orjson.JSONDecodeError:
            data = yaml.load(text, _NoAliases)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        raise InputError(f"{where}: not YAML or JSON") from None
    if not isinstance(data, list):
        raise InputError(f"{path}: must be a list of target groups")
    problems: list[str] = []
    targets: list[ScrapeTarget] = []
    for position, group in enumerate(data):
        hosts = group.get("targets", []) if isinstance(group, dict) else None
        labels = (group.get("labels") or {}) if isinstance(group, dict) else None
        if not isinstance(hosts, list) or not all(isinstance(h, str) and h for h in hosts):
            problems.append(f"{path}: /{position}/targets: must be a list of host:port")
        elif not isinstance(labels, dict) or not all(isinstance(n, str) for n in labels):
            problems.append(f"{path}: /{position}/labels: must be names and values")
        else:
            texts = {name: str(value) for name, value in labels.items()}
            for host in hosts:
                target = _target(host, texts, source)
                wrong = _wrong(target)
                if wrong:
                    problems.append(f"{path}: /{position}: {wrong}")
                else:
                    targets.append(target)
    if problems:
        raise InputError("\n".join(problems))
    return tuple(targets)


def _wrong(target: ScrapeTarget) -> str:
    """What would fail at each scrape, or in the series index, said once and early."""
    try:
        parts = urlsplit(target.url)
        port = parts.port
    except ValueError:
        return f"{target.url[:100]!r} is no address"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return f"{target.url[:100]!r} must be an address such as http://db1:9100/metrics"
    if not target.url.isprintable() or " " in target.url:
        return f"{target.url[:100]!r} must not hold spaces or control characters"
    try:
        Labels.of({**target.labels, "job": target.job, "instance": target.instance, "n": "up"})
    except LabelError as error:
        return str(error)
    return ""


def _target(host: str, labels: dict[str, str], source: FileTargets) -> ScrapeTarget:
    scheme = labels.get("__scheme__", source.scheme)
    path = labels.get("__metrics_path__", source.metrics_path)
    shown = {name: value for name, value in labels.items() if not name.startswith("__")}
    merged = {**source.labels, **shown}
    return ScrapeTarget(
        url=f"{scheme}://{host}{path}",
        job=merged.pop("job", source.job),
        instance=merged.pop("instance", host),
        service=merged.pop("service", source.service),
        labels=merged,
        interval_ms=source.interval_ms,
        timeout_ms=source.timeout_ms,
        honor_labels=source.honor_labels,
        bearer_token_file=source.bearer_token_file,
    )
