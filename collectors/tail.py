"""Follow log files through rotation, truncation and restarts, without losing or repeating a line.

A file is known by device and inode, and by a fingerprint of its first bytes. It stays open until it has
been read to its end after it was renamed or deleted; a truncated one is continued in its copy, where
there is one. A cursor only moves behind records that were handed over.
"""

from __future__ import annotations

import glob
import os
import stat
from dataclasses import asdict, dataclass, replace

from collectors.base import Counters, Problems
from collectors.cursor import Cursor, packed, planted, siblings
from collectors.logbatches import LogBatches
from collectors.logformats import read_rows
from collectors.logwords import escape
from collectors.masking import Masking
from collectors.records import Chunk, split_records
from collectors.settings import LogSettings, LogSource, WatermarkSettings
from collectors.snapshot import seal, unseal
from collectors.templates import TemplateMiner
from collectors.watermark import Watermark
from model.batch import LogBatch, MetricBatch
from model.reason import because


@dataclass(slots=True, eq=False)
class _Open:
    """A file that is being read."""

    fd: int
    cursor: Cursor
    service: str
    size: int = -1  # at the poll before: what has not grown since is not held back
    gone_ms: int | None = None  # since when no pattern leads to it


class LogTail:
    """Reads what is appended to log files, at most so much in one poll.

    Parameters
    ----------
    settings : LogSettings
    miner : TemplateMiner
        Numbers the messages; shared by all files.
    """

    def __init__(
        self,
        settings: LogSettings,
        miner: TemplateMiner,
        watermark: WatermarkSettings | None = None,
    ) -> None:
        self.settings = settings
        self.watermark = Watermark.for_logs(watermark or WatermarkSettings())
        self._miner = miner
        self._logs = LogBatches(Masking(settings.mask), miner, self.watermark)
        self._masked_before = 0
        self.problems = Problems()
        self._files: dict[tuple[int, int], _Open] = {}
        self._known_patterns: set[str] = set()
        self._first = True
        self._next_ms: int | None = None
        self._turn = 0
        self._final: bytes | None = None
        self._bytes = self._cut = self._joined = 0
        self._rotations = self._truncations = self._errors = self._refused = 0

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """One batch for each file that has grown."""
        if self._next_ms is None or now_ms >= self._next_ms:
            self._next_ms = now_ms + self.settings.discovery_interval_ms
            self._discover(now_ms)
        batches: list[MetricBatch | LogBatch] = []
        left = self.settings.read_bytes_max
        files = list(self._files.values())
        if files:
            # A busy file must not keep the others from their turn.
            self._turn = (self._turn + 1) % len(files)
            files = files[self._turn :] + files[: self._turn]
        for file in files:
            try:
                batch, used = self._read(file, min(left, self.settings.file_bytes_max), now_ms)
            except OSError as error:
                self._report(file.cursor.path, "read", error, now_ms)
                self._close(file)
                continue
            left -= used
            if batch is not None:
                batches.append(batch)
        return batches

    def counters(self) -> Counters:
        """Running totals."""
        return {
            "tocsin_log_lines_total": self._logs.lines,
            "tocsin_log_bytes_total": self._bytes,
            "tocsin_log_lines_cut_total": self._cut,
            "tocsin_log_lines_joined_total": self._joined,
            "tocsin_log_texts_masked_total": self._masked_before + self._logs.masking.masked,
            "tocsin_log_files": len(self._files),
            "tocsin_log_rotations_total": self._rotations,
            "tocsin_log_truncations_total": self._truncations,
            "tocsin_log_errors_total": self._errors,
            "tocsin_log_files_refused_total": self._refused,
            **self.watermark.counters("log"),
            **self._miner.counters(),
        }

    def reload(self, settings: LogSettings) -> None:
        """Take over new settings at the next poll; files that are no longer wanted are read out."""
        self._known_patterns = _patterns(self.settings)
        self.settings, self._first, self._next_ms = settings, True, None
        self._masked_before += self._logs.masking.masked
        self._logs.masking = Masking(settings.mask)

    def close(self) -> None:
        """Close all files; `save` still gives where they stood."""
        self._final = self.save()
        for file in list(self._files.values()):
            self._close(file)

    def save(self) -> bytes:
        """A snapshot of all cursors (not of the miner, which has its own)."""
        if self._final is not None:
            return self._final
        patterns = sorted(_patterns(self.settings))
        files = [{**asdict(f.cursor), "service": f.service} for f in self._files.values()]
        return seal("cursors", 1, {"patterns": patterns, "files": files})

    def load(self, data: bytes) -> None:
        """Take over cursors; files that were rotated meanwhile are looked for.

        Raises
        ------
        SnapshotError
            If the snapshot is damaged or of another version.
        """
        saved = unseal("cursors", 1, data)
        self.close()
        self._final = None
        self._known_patterns = set(saved["patterns"])
        newest: dict[str, tuple[int, Cursor, str]] = {}
        in_place: set[str] = set()
        for fields in saved["files"]:
            service = fields.pop("service")
            cursor = Cursor(**fields)
            found = self._resume(cursor, service)
            if found is not None:
                path, changed_ns = found
                in_place |= {path} & {cursor.path}
                known = newest.get(cursor.path, (0, cursor, service))
                newest[cursor.path] = max(known, (changed_ns, cursor, service), key=lambda x: x[0])
        for name, (changed_ns, cursor, service) in newest.items():
            if name not in in_place:
                self._missed(cursor, changed_ns, service)

    def _resume(self, cursor: Cursor, service: str) -> tuple[str, int] | None:
        places = [cursor.path, *siblings(cursor.path)]
        for same_inode in (True, False):
            for path in places:
                fd = _open(path)
                if fd is None:
                    continue
                status = os.fstat(fd)
                identity = (status.st_dev, status.st_ino)
                fits = (identity == cursor.identity) is same_inode and cursor.fits(fd)
                if fits and identity not in self._files and (same_inode or cursor.recognisable):
                    found = replace(cursor, device=status.st_dev, inode=status.st_ino)
                    self._files[identity] = _Open(fd, found, service)
                    return path, status.st_mtime_ns
                os.close(fd)
        return None

    def _missed(self, cursor: Cursor, after_ns: int, service: str) -> None:
        """Files that came and were rotated away while we were down: newer than the one we knew."""
        for path in siblings(cursor.path):
            fd = _open(path) if path.startswith((cursor.path + ".", cursor.path + "-")) else None
            if fd is None:
                continue
            status = os.fstat(fd)
            identity = (status.st_dev, status.st_ino)
            if identity in self._files or status.st_mtime_ns <= after_ns or cursor.begins(fd):
                os.close(fd)
                continue
            self._files[identity] = _Open(fd, Cursor(cursor.path, *identity).grown(fd), service)

    def _discover(self, now_ms: int) -> None:
        present: set[tuple[int, int]] = set()
        refused = self._refused
        for source in self.settings.sources:
            for pattern in source.paths:
                appeared = not self._first or pattern in self._known_patterns
                for path in _expand(pattern):
                    identity = self._meet(path, source, appeared, now_ms)
                    if identity is not None:
                        present.add(identity)
        self._first = False
        if self._refused == refused:
            self.problems.mend("log files", "limit")
        for identity, file in self._files.items():
            if identity in present:
                file.gone_ms = None
            elif file.gone_ms is None:
                file.gone_ms = now_ms
                self._rotations += 1

    def _meet(
        self, path: str, source: LogSource, appeared: bool, now_ms: int
    ) -> tuple[int, int] | None:
        try:
            status = os.stat(path)
            if planted(os.lstat(path), status):
                raise PermissionError(0, "a link to a file of somebody else is not followed")
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._report(path, "permission", error, now_ms)
            return None
        identity = (status.st_dev, status.st_ino)
        if identity in self._files or not stat.S_ISREG(status.st_mode):
            return identity
        if len(self._files) >= self.settings.files_max:
            self._refused += 1
            why = because("more than {max} files", max=self.settings.files_max)
            self.problems.note("log files", "limit", why, now_ms=now_ms)
            return None
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._report(path, "permission", error, now_ms)
            return None
        self.problems.mend(path, "permission")
        if self._is_copy(path, fd):
            os.close(fd)
            return None
        status = os.fstat(fd)
        cursor = Cursor(path, status.st_dev, status.st_ino).grown(fd)
        if not appeared and not source.from_start and status.st_size:
            tail = os.pread(fd, 1, status.st_size - 1)
            cursor = replace(cursor, offset=status.st_size, skip=tail != b"\n")
        service = source.service or os.path.basename(path).split(".")[0]
        self._files[cursor.identity] = _Open(fd, cursor, service)
        return cursor.identity

    def _is_copy(self, path: str, fd: int) -> bool:
        # copytruncate writes the copy first: read only once the original is truncated, by `_renew`.
        for file in self._files.values():
            name = file.cursor.path
            if path.startswith((name + ".", name + "-")) and file.cursor.recognisable:
                if file.cursor.begins(fd):
                    return True
        return False

    def _read(self, file: _Open, bytes_max: int, now_ms: int) -> tuple[LogBatch | None, int]:
        size = os.fstat(file.fd).st_size
        # Also where the size is as before: it may have been truncated and written to the same length.
        if not file.cursor.fits(file.fd):
            self._renew(file)
        file.cursor = file.cursor.grown(file.fd)
        grew, file.size = size != file.size, size
        over = file.gone_ms is not None and now_ms - file.gone_ms >= self.settings.rotated_wait_ms
        if size <= file.cursor.offset:
            if over:
                self._close(file)
            return None, 0
        if bytes_max <= 0:
            return None, 0
        # One line longer than allowed must fit, or nothing would ever be consumed.
        wanted = max(bytes_max, self.settings.line_bytes_max + 2)
        data = os.pread(file.fd, wanted, file.cursor.offset)
        final = over and file.cursor.offset + len(data) >= size
        chunk = split_records(
            data,
            skip=file.cursor.skip,
            final=final,
            line_bytes_max=self.settings.line_bytes_max,
            joined_lines_max=self.settings.joined_lines_max,
        )
        growing = grew or file.cursor.offset + len(data) < size
        count, consumed = _release(chunk, held=growing and not final, full=len(data) == wanted)
        batch = self._batch(file, chunk, count, now_ms) if count else None
        skip = file.cursor.skip
        if consumed:
            skip = chunk.skip and consumed == chunk.consumed
            self._cut += chunk.cut
        file.cursor = replace(file.cursor, offset=file.cursor.offset + consumed, skip=skip)
        self._bytes += consumed
        return batch, len(data)

    def _renew(self, file: _Open) -> None:
        """The file was truncated: go on in the copy that was made of it, and begin this one anew."""
        self._truncations += 1
        old = file.cursor
        for path in siblings(old.path) if old.recognisable else []:
            fd = _open(path)
            if fd is None:
                continue
            status = os.fstat(fd)
            identity = (status.st_dev, status.st_ino)
            if identity not in self._files and old.fits(fd):
                copy = replace(old, path=path, device=status.st_dev, inode=status.st_ino)
                self._files[identity] = _Open(fd, copy, file.service)
                break
            os.close(fd)
        file.cursor = Cursor(old.path, old.device, old.inode)

    def _batch(self, file: _Open, chunk: Chunk, count: int, now_ms: int) -> LogBatch | None:
        """Of the first so many records."""
        chars_max = self.settings.message_chars_max
        lines = read_rows(chunk.texts[:count], now_ms, None, chars_max)
        below = {place: lines for place, lines in chunk.joined.items() if place < count}
        self._joined += sum(map(len, below.values()))
        joined = {place: escape("\n".join(lines), chars_max) for place, lines in below.items()}
        return self._logs.make(
            lines, source=file.cursor.path, now_ms=now_ms, service=file.service, joined=joined
        )

    def _report(self, path: str, kind: str, error: OSError, now_ms: int) -> None:
        self._errors += 1
        why = because("{path}: {error}", path=path, error=error.strerror or type(error).__name__)
        self.problems.note(path, kind, why, now_ms=now_ms)

    def _close(self, file: _Open) -> None:
        os.close(file.fd)
        self._files.pop(file.cursor.identity, None)


def _release(chunk: Chunk, *, held: bool, full: bool) -> tuple[int, int]:
    """How many records are handed over now, and how many bytes are done with by that.

    The last one waits for one poll without growth, because its stack trace may still be written.
    """
    texts = chunk.texts
    if not held or not texts or texts[-1].startswith("{") or chunk.skip:
        return len(texts), chunk.consumed
    if len(texts) == 1:
        return (1, chunk.consumed) if full else (0, 0)
    return len(texts) - 1, chunk.begins


def _patterns(settings: LogSettings) -> set[str]:
    return {pattern for source in settings.sources for pattern in source.paths}


def _expand(pattern: str) -> list[str]:
    if not glob.has_magic(pattern):
        return [pattern]
    return [path for path in sorted(glob.glob(pattern, recursive=True)) if not packed(path)]


def _open(path: str) -> int | None:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
