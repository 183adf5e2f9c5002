"""Changes as deploy scripts and CI systems push them."""

from __future__ import annotations

from collectors.json_input import Reader, load, read_items
from collectors.settings import IntakeLimits
from model.change import Change
from model.identity import derive_id

_LIMITS = IntakeLimits()
_FUTURE_MS = 60_000


def parse(body: bytes, *, now_ms: int, source: str, limits: IntakeLimits = _LIMITS) -> list[Change]:
    """Read the body of `POST /api/v1/changes`: one change, or an array of them.

    Fields: `service` and `title` (one of them is required), `kind` ("deploy" where missing), `time`
    (or `timestamp`; now where missing or ahead of now), `author`, `version`, `url`, `labels`, `id`.
    The id is derived from the given one and the source, or from all of it, so that a repeat is the
    same change.

    Raises
    ------
    RefusedItems
        If some changes are malformed; `accepted` holds the others.
    InputError
        If the body as a whole is.

    Examples
    --------
    >>> change, = parse(b'{"service": "cart", "title": "v2", "time": 60}', now_ms=99_000, source="ci")
    >>> change.kind, change.time_ms
    ('deploy', 60000)
    """
    data = load(body, limits)

    def read(reader: Reader) -> Change:
        service = reader.short("service", "service.name")
        title = reader.short("title", "message", cut=True)
        if not service and not title:
            reader.problem("", "must have a service or a title")
        told_ms = reader.time_ms("time", "timestamp", "@timestamp")
        # A sender's clock that is ahead must not hide the change behind "not yet" (F12).
        time_ms = now_ms if told_ms is None or told_ms > now_ms + _FUTURE_MS else told_ms
        kind = reader.short("kind", "type", default="deploy")
        labels = reader.labels("labels")
        version = reader.short("version")
        given = reader.short("id")
        parts = ("change", source, service, kind, title, version)
        return Change(
            # A sender's own id counts among its own changes only: nobody overwrites another's (A25).
            id=derive_id("change", source, given) if given else derive_id(*parts, time_ms),
            time_ms=time_ms,
            kind=kind,
            service=service,
            title=title or f"{kind} {version}".strip(),
            author=reader.short("author"),
            version=version,
            url=reader.short("url"),
            source=source,
            labels=labels,
            arrival_ms=now_ms,
        )

    if isinstance(data, list):
        return read_items(data, "", read, limits)
    reader = Reader(data)
    change = read(reader)
    reader.check()
    return [change]
