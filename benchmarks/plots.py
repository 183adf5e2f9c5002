"""The plots of docs/detection.md: what each component of the full tier makes of trouble of each kind, and a lost rhythm.

    python -m benchmarks.plots          # writes docs/images/detection-NAME.svg

Made-up series from a seed, five minutes a sample, four weeks; the last day and a half are drawn. Above: the series with the
band that the tier expects before each sample. Below: a strip for each component, the darker the rarer (decades),
and for the score, marked where it is told. Nothing is drawn that the tier did not compute.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.report import ROOT
from console.plots import LEFT, RIGHT, line_with_band
from detectors.engine import Engine
from detectors.full.combine import COMPONENTS
from detectors.full.tier import FullTier
from detectors.knowledge import Knowledge
from detectors.settings import DetectorSettings
from model.alert import Evidence
from model.batch import Floats, MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

FOLDER = ROOT / "docs" / "images"
_STEP_MS = 300_000
_DAY = 288
_DAYS = 28
_SHOWN = 432
_TROUBLE = 300  # samples into what is shown
_START_MS = 1_699_833_600_000  # a Monday, midnight
_STRIP = 13
_DARKEST = 8.0  # decades
_STYLE = """<style>
svg { font: 12px system-ui, sans-serif; background: #fff; color: #222 }
.band { fill: #9ec5e8; opacity: .55 } .line { fill: none; stroke: #1d4e89; stroke-width: 1.3 }
.grid { stroke: #e3e3e3 } .tick { fill: #444; font-size: 11px } text { fill: #444; font-size: 9.5px } .mark { stroke: #c0392b; stroke-dasharray: 3 3 }
.mark-head, .last { fill: #c0392b } .cell { fill: #c0392b } .told { fill: #111 }
</style>"""

Trouble = Callable[[Floats, np.random.Generator], None]


def spike(values: Floats, rng: np.random.Generator) -> None:
    """One sample, three times as high."""
    values[_TROUBLE] *= 3.0


def level(values: Floats, rng: np.random.Generator) -> None:
    """A shift that stays."""
    values[_TROUBLE:] += 25.0


def rhythm(values: Floats, rng: np.random.Generator) -> None:
    """The morning's rise does not come; every value is one that is usual at night."""
    values[_TROUBLE - 60 :] = values[_TROUBLE - 190 : _TROUBLE - 190 + len(values[_TROUBLE - 60 :])]


def leak(values: Floats, rng: np.random.Generator) -> None:
    """A slow rise."""
    values[_TROUBLE - 100 :] += np.linspace(0.0, 60.0, len(values[_TROUBLE - 100 :]))


def variance(values: Floats, rng: np.random.Generator) -> None:
    """The same mean, four times the noise."""
    values[_TROUBLE:] += rng.normal(0.0, 12.0, len(values[_TROUBLE:]))


TROUBLES: dict[str, tuple[Trouble, int]] = {
    # name: what it is, and which of the samples shown it begins with
    "spike": (spike, _TROUBLE), "level": (level, _TROUBLE), "rhythm": (rhythm, _TROUBLE - 60),
    "leak": (leak, _TROUBLE - 100), "variance": (variance, _TROUBLE),
}  # fmt: skip


def series(trouble: Trouble) -> Floats:
    """Four weeks with a daily and a weekly rhythm, trouble near the end."""
    rng = np.random.default_rng(11)
    at = np.arange(_DAYS * _DAY)
    weekday = np.where((at // _DAY) % 7 < 5, 1.0, 0.6)
    values = 40.0 + weekday * 30.0 * np.maximum(
        np.sin((at % _DAY) / _DAY * 2 * math.pi - 1.6), -0.4
    )
    values += rng.normal(0.0, 2.0, len(at))
    trouble(values[-_SHOWN:], rng)
    return np.asarray(np.maximum(values, 0.0))


def draw(name: str, trouble: Trouble, begin: int) -> str:
    """One picture."""
    values, tier, row = series(trouble), FullTier(1), np.zeros(1, dtype=np.int64)
    lows, highs, rare, told = [], [], [], []
    for step, value in enumerate(values.tolist()):
        at_ms = np.array([_START_MS + step * _STEP_MS])
        if step >= len(values) - _SHOWN:
            expected, sizes = tier.expected(row, at_ms)
            best = COMPONENTS.index("week")
            half = 2.0 * float(sizes[best, 0])
            lows.append(float(expected[best, 0]) - half)
            highs.append(float(expected[best, 0]) + half)
            part = tier.part(row)
            rare.append(part.components(row, at_ms, np.array([value], dtype=np.float32))[:, 0])
        score = tier.score(row, at_ms, np.array([value]))
        alarm = tier.alarms(row, score)
        if step >= len(values) - _SHOWN:
            told.append((float(score[0]), float(alarm[0]) > 0.0))
    begins = len(values) - _SHOWN
    times = tuple(_START_MS + (begins + n) * _STEP_MS for n in range(_SHOWN))
    evidence = Evidence(
        Labels.of({"__name__": name}), "full", times_ms=times,
        values=tuple(values[-_SHOWN:].tolist()), lows=tuple(lows), highs=tuple(highs),
    )  # fmt: skip
    plot = str(line_with_band(evidence, mark_ms=times[begin], title=name))
    inner = plot[plot.index(">") + 1 : plot.rindex("</svg>")]
    box = [float(x) for x in plot.split('viewBox="', 1)[1].split('"', 1)[0].split()]
    strips = _strips(np.array(rare, dtype=np.float64).T, told, top=box[3] + 8.0, width=box[2])
    height = box[3] + 8.0 + (len(COMPONENTS) + 1) * (_STRIP + 2) + 4.0
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {box[2]:.0f} {height:.0f}" '
        f'width="{box[2]:.0f}" height="{height:.0f}">{_STYLE}{inner}{strips}</svg>\n'
    )


def _strips(rare: Floats, told: list[tuple[float, bool]], *, top: float, width: float) -> str:
    """A row of cells for each component and for the score; four samples a cell, the rarest counts."""
    named = [*zip(COMPONENTS, rare.tolist(), strict=True), ("score", [score for score, _ in told])]
    parts, cell = [], (width - LEFT - RIGHT) / (_SHOWN / 4)
    for number, (name, decades) in enumerate(named):
        y = top + number * (_STRIP + 2)
        parts.append(f'<text x="{LEFT - 6}" y="{y + 10:.0f}" text-anchor="end">{name}</text>')
        for n in range(0, _SHOWN, 4):
            dark = min(
                max(decades[n : n + 4]) / (_DARKEST * (3.0 if name == "score" else 1.0)), 1.0
            )
            x = LEFT + n / 4 * cell
            if dark > 0.1:
                parts.append(
                    f'<rect class="cell" x="{x:.1f}" y="{y:.1f}" width="{cell:.1f}" '
                    f'height="{_STRIP}" opacity="{dark:.2f}"/>'
                )
            if name == "score" and any(alarm for _, alarm in told[n : n + 4]):
                parts.append(f'<circle class="told" cx="{x:.1f}" cy="{y + 6.5:.1f}" r="3.5"/>')
    return "".join(parts)


def lost_rhythm() -> str:
    """What the live engine tells of a batch every 90 minutes of which the last does not come."""
    index, rng, told = SeriesIndex(series_max=100), np.random.default_rng(3), None
    engine = Engine(DetectorSettings(), index, knowledge=Knowledge(tiers={"batch": 1}))
    series = Labels.of({"__name__": "rows_written", "service": "batch"})
    row, minute = index.intern(series, now_ms=_START_MS), 0
    while told is None:
        minute += 1
        now_ms = _START_MS + minute * 60_000
        works = minute % 90 < 6 and minute < 20 * 60
        value = max(20.0 + 60.0 * works + rng.normal(0.0, 4.0), 0.0)
        batch = MetricBatch.of([row], now_ms, [value], arrival_ms=now_ms)
        alerts = engine.take(batch, now_ms=now_ms) + engine.step(now_ms)
        told = next((a for a in alerts if a.name == "RhythmLost"), None)
    assert told.evidence is not None
    plot = str(line_with_band(told.evidence, mark_ms=told.starts_ms, title="a lost rhythm"))
    inner = plot[plot.index(">") + 1 : plot.rindex("</svg>")]
    box = [float(x) for x in plot.split('viewBox="', 1)[1].split('"', 1)[0].split()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {box[2]:.0f} {box[3]:.0f}" '
        f'width="{box[2]:.0f}" height="{box[3]:.0f}">{_STYLE}{inner}</svg>\n'
    )


def main() -> None:
    """Draw them all."""
    path = Path(FOLDER / "detection-period.svg")
    path.write_text(lost_rhythm(), encoding="utf-8")
    print(path.relative_to(ROOT))
    for name, (trouble, begin) in TROUBLES.items():
        path = Path(FOLDER / f"detection-{name}.svg")
        path.write_text(draw(name, trouble, begin), encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
