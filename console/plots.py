"""Pictures as SVG text, drawn on the server: no script, no colours of their own (the style sheet has them)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from console.plain import escape
from model.alert import Evidence

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 72, 12, 12, 26
POINTS_MAX = 400


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that cover a range: steps of 1, 2 or 5 times a power of ten.

    Examples
    --------
    >>> nice_ticks(0.0, 9.3)
    [0.0, 2.5, 5.0, 7.5, 10.0]
    >>> nice_ticks(3.0, 3.0)
    [2.0, 2.5, 3.0, 3.5, 4.0]
    """
    if not (math.isfinite(low) and math.isfinite(high)) or high - low > 1e300:
        return [0.0, 1.0]
    if high <= low:
        spread = max(abs(low), 1.0) / 3
        low, high = low - spread, low + spread
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough), 10 * power)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 12) for i in range(first, last + 1)]


_DAY = 86_400
_TIMES = {1: "s", 60: "m", 3600: "h", _DAY: "d"}


def time_scale(seconds: float) -> int:
    """Seconds in the unit that shows a duration best: of seconds, minutes, hours and days.

    Examples
    --------
    >>> time_scale(90), time_scale(600), time_scale(20_000), time_scale(5 * 86_400)
    (1, 60, 3600, 86400)
    """
    if abs(seconds) >= 3 * _DAY:
        return _DAY
    return 3600 if abs(seconds) >= 7200 else 60 if abs(seconds) >= 120 else 1


def label(value: float, unit: str = "") -> str:
    """A number short enough for an axis.

    Examples
    --------
    >>> label(0.25, "seconds"), label(9000, "seconds"), label(3e9, "bytes"), label(0.021, "ratio")
    ('250ms', '2.5h', '2.79GiB', '2.1%')
    >>> label(1500), label(0.004, "seconds")
    ('1.5k', '4ms')
    """
    if unit == "seconds":
        if 0 < abs(value) < 1:
            return f"{value * 1e3:.3g}ms" if abs(value) >= 1e-3 else f"{value * 1e6:.3g}µs"
        scale = time_scale(value)
        return f"{value / scale:.4g}{_TIMES[scale]}"
    if unit == "ratio":
        return f"{value * 100:.3g}%"
    size, names = (1024, "KMGTP") if unit == "bytes" else (1000, "kMGTP")
    power, shown = 0, value
    while abs(shown) >= size and power < 5:
        shown, power = shown / size, power + 1
    prefix = names[power - 1] if power else ""
    if unit == "bytes":
        return f"{shown:.3g}{prefix}iB" if prefix else f"{shown:.3g}B"
    return f"{shown:.3g}{prefix}" + ("/s" if unit == "per second" else "")


class _Frame:
    """Turns times and values into places on the picture."""

    def __init__(
        self, times_ms: Sequence[int], ticks: Sequence[float], width: int, height: int
    ) -> None:
        self.width, self.height, self.ticks = width, height, ticks
        self.first_ms, self.last_ms = times_ms[0], max(times_ms[-1], times_ms[0] + 1)

    def x(self, time_ms: float) -> float:
        share = (time_ms - self.first_ms) / (self.last_ms - self.first_ms)
        return LEFT + share * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def point(self, time_ms: float, value: float) -> str:
        return f"{self.x(time_ms):.1f},{self.y(value):.1f}"


def line_with_band(evidence: Evidence, *, mark_ms: int | None = None, title: str = "") -> Markup:
    """Recent history of a series with its expected band, and a mark where the trouble began.

    Parameters
    ----------
    evidence : Evidence
        Its columns `times_ms`, `values`, `lows`, `highs`; gaps stay gaps.
    mark_ms : int or None
        Where to draw the mark; None draws none.
    title : str
        Read out by screen readers.
    """
    columns = _thin(evidence)
    numbers = [x for _, *rest in columns for x in rest if x is not None and math.isfinite(x)]
    if len(columns) < 2 or not numbers:
        return Markup("")
    most = max(numbers)
    # Days are ticked as days; what is shorter was always ticked in seconds.
    scale = _DAY if evidence.unit == "seconds" and time_scale(most) == _DAY else 1
    ticks = [tick * scale for tick in nice_ticks(min(numbers) / scale, most / scale)]
    frame = _Frame([row[0] for row in columns], ticks, WIDTH, HEIGHT)
    parts = [_open(WIDTH, HEIGHT, title), _axes(frame, evidence.unit)]
    parts += [f'<path class="band" d="{area}"/>' for area in _areas(frame, columns)]
    parts.append(f'<path class="line" d="{_path(frame, columns)}"/>')
    if mark_ms is not None and frame.first_ms <= mark_ms <= frame.last_ms:
        x = frame.x(mark_ms)
        bottom = HEIGHT - BOTTOM
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(f'<path class="mark-head" d="M{x - 5:.1f} {TOP}h10l-5 7z"/>')
    last = next((row for row in reversed(columns) if _known(row[1])), None)
    if last is not None and last[1] is not None:
        place = frame.point(last[0], last[1]).split(",")
        parts.append(f'<circle class="last" cx="{place[0]}" cy="{place[1]}" r="3.5"/>')
    parts.append("</svg>")
    return Markup("".join(parts))


Row = tuple[int, float | None, float | None, float | None]


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _thin(evidence: Evidence) -> list[Row]:
    """The columns as rows, at most about `POINTS_MAX` of them: of each stretch its extremes, and the end."""
    count = len(evidence.times_ms)
    none: tuple[float | None, ...] = (None,) * count
    lows, highs = evidence.lows or none, evidence.highs or none
    picked: Sequence[int] = range(count)
    if count > POINTS_MAX:
        step = math.ceil(2 * count / POINTS_MAX)
        kept = {0, count - 1}
        for begin in range(0, count, step):
            stretch = range(begin, min(begin + step, count))
            known = [i for i in stretch if _known(evidence.values[i])]
            if known:
                kept.add(min(known, key=lambda i: evidence.values[i] or 0.0))
                kept.add(max(known, key=lambda i: evidence.values[i] or 0.0))
            else:
                kept.add(begin)
        picked = sorted(kept)
    return [(evidence.times_ms[i], evidence.values[i], lows[i], highs[i]) for i in picked]


def _path(frame: _Frame, rows: Sequence[Row]) -> str:
    parts, pen = list[str](), "M"
    for time_ms, value, _, _ in rows:
        if value is None or not math.isfinite(value):
            pen = "M"
            continue
        parts.append(pen + frame.point(time_ms, value))
        pen = "L"
    return "".join(parts)


def _areas(frame: _Frame, rows: Sequence[Row]) -> list[str]:
    """One closed outline for each stretch where both bounds are known."""
    areas, stretch = list[str](), list[Row]()
    for row in [*rows, (0, None, None, None)]:
        if _known(row[2]) and _known(row[3]):
            stretch.append(row)
            continue
        if len(stretch) > 1:
            upper = [frame.point(t, high or 0.0) for t, _, _, high in stretch]
            lower = [frame.point(t, low or 0.0) for t, _, low, _ in reversed(stretch)]
            areas.append("M" + "L".join(upper + lower) + "Z")
        stretch = []
    return areas


def _open(width: int, height: int, title: str) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" '
        f'preserveAspectRatio="xMidYMid meet"><title>{escape(title)}</title>'
    )


def _axes(frame: _Frame, unit: str) -> str:
    parts = list[str]()
    for tick in frame.ticks:
        y = frame.y(tick)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{frame.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(label(tick, unit))}</text>"
        )
    span_ms = frame.last_ms - frame.first_ms
    for place in range(5):
        time_ms = frame.first_ms + span_ms * place // 4
        anchor = ("start", "middle", "middle", "middle", "end")[place]
        parts.append(
            f'<text class="tick" x="{frame.x(time_ms):.1f}" y="{frame.height - 8}" '
            f'text-anchor="{anchor}" data-time="{time_ms}" data-span="{span_ms}">'
            f"{clock_label(time_ms, span_ms)}</text>"
        )
    return "".join(parts)


def clock_label(time_ms: int, span_ms: int) -> str:
    """A time on an axis, in UTC; the script rewrites it in the browser's zone.

    Examples
    --------
    >>> clock_label(1_700_000_000_000, 600_000), clock_label(1_700_000_000_000, 10**9)
    ('22:13:20', '11-14')
    """
    form = "%H:%M:%S" if span_ms < 3_600_000 else "%H:%M" if span_ms < 2 * 86_400_000 else "%m-%d"
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime(form)


def bars(
    values: Sequence[tuple[str, float]], *, unit: str = "", title: str = "", height: int = 160
) -> Markup:
    """Upright bars with a name under each (only as many names as there is room for)."""
    if not values:
        return Markup("")
    most = max(max(value for _, value in values), 1e-9)
    scale = time_scale(most) if unit == "seconds" else 1
    ticks = [tick * scale for tick in nice_ticks(0.0, most / scale, 3)]
    frame = _Frame([0, len(values)], ticks, WIDTH, height)
    parts = [_open(WIDTH, height, title)]
    for tick in ticks:
        y = frame.y(tick)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(label(tick, unit))}</text>"
        )
    room = (WIDTH - LEFT - RIGHT) / len(values)
    every = max(1, math.ceil(len(values) * 64 / (WIDTH - LEFT)))
    for place, (name, value) in enumerate(values):
        x, y = LEFT + place * room, frame.y(value)
        parts.append(
            f'<rect class="bar" x="{x + room * 0.15:.1f}" y="{y:.1f}" width="{room * 0.7:.1f}" '
            f'height="{max(height - BOTTOM - y, 0):.1f}" rx="2">'
            f"<title>{escape(name)}: {escape(label(value, unit))}</title></rect>"
        )
        if place % every == 0:
            parts.append(
                f'<text class="tick" x="{x + room / 2:.1f}" y="{height - 8}" '
                f'text-anchor="middle">{escape(name[:14])}</text>'
            )
    return Markup("".join([*parts, "</svg>"]))


def sparkline(values: Sequence[float | None], *, title: str = "") -> Markup:
    """A small line without axes."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 2:
        return Markup("")
    low, high = min(known), max(known)
    spread = (high - low) or 1.0
    path, pen = list[str](), "M"
    for place, value in enumerate(values):
        if value is None or not math.isfinite(value):
            pen = "M"
            continue
        x, y = 2 + place * 116 / (len(values) - 1), 26 - (value - low) / spread * 22
        path.append(f"{pen}{x:.1f},{y:.1f}")
        pen = "L"
    return Markup(
        f'<svg class="spark" viewBox="0 0 120 28" role="img"><title>{escape(title)}</title>'
        f'<path class="line" d="{"".join(path)}"/></svg>'
    )
