"""`tocsin backfill`: what learning from a Prometheus' past would take, or how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from collectors.base import Problems
from collectors.discovery import Discovery
from collectors.past import Goal, plan, queries
from collectors.prometheus_api import PrometheusApi
from collectors.prometheus_settings import BackfillSettings
from collectors.scrape import target_labels
from collectors.settings import ScrapeSettings
from model.clock import Clock, SystemClock
from model.errors import DeliveryError, InputError
from model.units import format_duration
from pipeline import output
from pipeline.client import Client
from pipeline.commands.options import DEFAULT_CONFIG, AsJson, Config, Token
from pipeline.settings import load

_TRIED_MS = 3_600_000
_STEP_S = 0.01
"""A step through the past: 4 ms of CPU, and the loop has other things to do."""
_ASK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Asked:
    """One selector: its series, and how long their samples of an hour took."""

    selector: str
    series: int
    samples: int
    seconds: float


def backfill(
    config: Config = DEFAULT_CONFIG,
    url: Annotated[
        str, typer.Option("--url", help="The Prometheus; wins over the file.", show_default=False)
    ] = "",
    check: Annotated[
        bool,
        typer.Option("--check", help="Ask the Prometheus what would be fetched; change nothing."),
    ] = False,
    tocsin: Annotated[
        str,
        typer.Option(
            "--tocsin", envvar="TOCSIN_URL", help="Where Tocsin listens.", show_default=False
        ),
    ] = "",
    token: Token = "",
    json: AsJson = False,
) -> None:
    """With --check: what would be learnt from, and how long it takes. Without: how far a running Tocsin is."""
    if not check:
        _follow(Client(tocsin, token), SystemClock())
        return
    settings = load(config).machine
    chosen = replace(settings.backfill, url=url) if url else settings.backfill
    if not chosen.enabled:
        raise InputError("no Prometheus is named: give --url, or backfill.url in tocsin.yaml")
    _check(chosen, settings.scrape, SystemClock(), as_json=json)


def _check(
    settings: BackfillSettings, scrape: ScrapeSettings, clock: Clock, *, as_json: bool
) -> None:
    now_ms = clock.now_ms()
    targets = Discovery(scrape, Problems()).poll(now_ms) or ()
    goals = [Goal(t.url, target_labels(t), {}, frozenset(), now_ms, 0) for t in targets]
    selectors = queries(goals, settings.selectors, targets_per_query=settings.targets_per_query)
    if not selectors:
        raise InputError("nothing to ask for: no target in scrape, no selector in backfill")
    api = PrometheusApi(settings, clock)
    try:
        with output.errors.status(output.translate(f"Asking {api.name}")):
            asked = [_ask(api, selector, settings, clock, now_ms) for selector in selectors]
    except DeliveryError as error:
        raise type(error)(f"the Prometheus at {api.name}: {error}") from None
    series = min(sum(one.series for one in asked), settings.series_max)
    beat_ms = min(
        (t.interval_ms or scrape.interval_ms for t in targets), default=scrape.interval_ms
    )
    made = plan(settings, series=series, interval_ms=beat_ms, now_ms=now_ms)
    points = series * made.points
    speed = sum(one.samples for one in asked) / max(sum(one.seconds for one in asked), 1e-3)
    fetch_s = points / max(speed, 1.0) * (1.0 + settings.pause_ratio)
    seconds = max(fetch_s, made.points * _STEP_S)
    if as_json:
        output.show_json(
            {
                "selectors": [{"selector": a.selector, "series": a.series} for a in asked],
                "series": series,
                "points": points,
                "requests": len(selectors) * (len(made.coarse) + len(made.fine)),
                "seconds": round(seconds, 1),
            }
        )
    else:
        _show(settings, asked, series, points, seconds)
    if not series:
        raise typer.Exit(output.FAILED)


def _ask(
    api: PrometheusApi, selector: str, settings: BackfillSettings, clock: Clock, now_ms: int
) -> _Asked:
    found = api.series(selector, now_ms - _TRIED_MS, now_ms, limit=settings.series_max)
    length_ms = min(_TRIED_MS, settings.samples_max * 15_000 // max(len(found), 1))
    begun_s = clock.monotonic_s()
    tracks = api.raw(selector, now_ms - length_ms, now_ms) if found else []
    took_s = clock.monotonic_s() - begun_s
    return _Asked(selector, len(found), sum(len(t.times_ms) for t in tracks), took_s)


def _show(
    settings: BackfillSettings, asked: Sequence[_Asked], series: int, points: int, seconds: float
) -> None:
    output.show_table(["SERIES", "SELECTOR"], [(a.series, a.selector) for a in asked], empty="")
    if not series:
        output.say("Nothing is there: are job and instance of the targets as in prometheus.yml?")
        return
    output.say(
        f"At most {series} series, {points} samples of {settings.days} days, "
        f"in about {format_duration(max(1_000, round(seconds) * 1_000))}."
    )
    if seconds * 1_000 > settings.hold_ms:
        output.say(
            f"That is longer than backfill.hold ({format_duration(settings.hold_ms)}): part of the "
            "distant past would be skipped. Fewer days or a longer hold would help."
        )


def _follow(client: Client, clock: Clock) -> None:
    columns = (TextColumn(output.translate("Learning from the past")), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=output.errors, transient=True) as progress:
        task = progress.add_task("", total=None)
        while True:
            counters = dict(client.get("/api/v1/health")["counters"])
            done = counters.get("tocsin_backfill_points_total")
            if done is None:
                raise InputError("that Tocsin learns from no Prometheus: backfill.url is not set")
            total = max(counters["tocsin_backfill_points_expected"], done)
            progress.update(task, total=total or None, completed=done)
            if not counters["tocsin_backfill_targets_waiting"]:
                break
            clock.sleep(_ASK_EVERY_S)
    output.say(
        f"{counters['tocsin_backfill_series_total']:.0f} series have learnt from {done:.0f} samples; "
        f"{counters['tocsin_backfill_unmatched_total']:.0f} are not known there, "
        f"{counters['tocsin_backfill_failures_total']:.0f} failures"
    )
