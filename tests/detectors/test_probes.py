"""Probes that fail and certificates that end: what is told, in which words, when, and what is not."""

from __future__ import annotations

import pytest

from correlator.correlator import Correlator
from correlator.settings import CorrelatorSettings
from detectors.engine import Engine
from detectors.settings import DetectorSettings
from model.alert import Alert
from model.batch import MetricBatch
from model.catalogue import Catalogue, Service
from model.labels import Labels
from model.reason import Reason, because
from model.series import SeriesIndex

NOW = 1_780_000_000_000
HOUR, DAY = 3_600_000, 86_400_000
REFUSED = because("{target} refuses the connection", target="shop:80")


class World:
    """An engine, its index and its clock."""

    def __init__(self, settings: DetectorSettings | None = None) -> None:
        self.settings = settings or DetectorSettings()
        self.index = SeriesIndex()
        self.engine = Engine(self.settings, self.index)
        self.now_ms = NOW

    def series(self, metric: str, **labels: str) -> int:
        """The row of a series."""
        return self.index.intern(Labels.of({"__name__": metric, **labels}))

    def probe(self, name: str, metric: str = "probe_success", **labels: str) -> int:
        """The row of one of our own probes' series."""
        kept = {"service": name, "job": "probe", "instance": f"http://{name}/", "probe": name}
        return self.series(metric, **{**kept, **labels})

    def see(self, values: dict[int, float], notes: dict[int, Reason] | None = None) -> list[Alert]:
        """Samples of now, and a step."""
        one = MetricBatch.of(
            list(values), self.now_ms, list(values.values()), arrival_ms=self.now_ms
        )
        batch = MetricBatch(one.rows, one.times_ms, one.values, self.now_ms, "probe", notes or {})
        found = self.engine.take(batch, now_ms=self.now_ms)
        return found + self.engine.step(self.now_ms)

    def wait(self, span_ms: int) -> list[Alert]:
        """Let time pass."""
        self.now_ms += span_ms
        return self.engine.step(self.now_ms)

    def restart(self) -> None:
        """Go on from what was saved."""
        index, engine = self.index.save(), self.engine.save()
        self.index = SeriesIndex()
        self.index.load(index)
        self.engine = Engine(self.settings, self.index)
        self.engine.load(engine)


def rounds(
    world: World, row: int, results: str, note: Reason | None = None, step_ms: int = 30_000
) -> list[list[str]]:
    """Results ("1" well, "0" not), one every 30 s; what was told after each."""
    told = []
    for result in results:
        found = world.see({row: float(result)}, {row: note} if note and result == "0" else None)
        told.append([f"{'+' if alert.firing else '-'}{alert.name}" for alert in found])
        world.now_ms += step_ms
    return told


FIRED, RESOLVED = ["+ProbeFailed"], ["-ProbeFailed"]


@pytest.mark.parametrize(
    ("results", "told"),
    [
        # Two failures are a blip, three are told; two successes end it.
        ("110011", [[], [], [], [], [], []]),
        ("11000", [[], [], [], [], FIRED]),
        ("100011", [[], [], [], FIRED, [], RESOLVED]),
        # A success between them begins anew.
        ("100100", [[], [], [], [], [], []]),
        # What never answered is told too.
        ("000", [[], [], FIRED]),
    ],
)
def test_three_failures_running_are_told(results: str, told: list[list[str]]) -> None:
    world = World()
    assert rounds(world, world.probe("shop"), results) == told


def test_the_alert_carries_the_reason_and_not_in_its_identity() -> None:
    world = World()
    row = world.probe("shop")
    rounds(world, row, "100", REFUSED)
    [alert] = world.see({row: 0.0}, {row: REFUSED})
    assert alert.summary == REFUSED
    assert alert.labels == Labels.of(
        {
            "alertname": "ProbeFailed", "service": "shop", "severity": "critical",
            "signal": "availability", "instance": "http://shop/", "probe": "shop",
        }
    )  # fmt: skip
    assert alert.starts_ms == NOW + 30_000
    assert alert.evidence is not None and alert.evidence.values == (1.0, 0.0, 0.0, 0.0)
    other = because("{target} answers HTTP {status} instead of {expected}", target="x", status=503, expected="2xx")  # fmt: skip
    world.now_ms += 30_000
    [again] = world.see({row: 0.0}, {row: other})
    assert again.summary == other and again.key == alert.key


def test_blackbox_exporters_own_probes_are_told_without_a_reason() -> None:
    world = World()
    row = world.series("probe_success", job="blackbox", instance="https://shop.example")
    rounds(world, row, "10")
    [alert] = [a for _ in range(2) for a in (world.wait(30_000), world.see({row: 0.0}))[1]][:1]
    assert alert.summary is not None
    assert alert.summary.text() == "the probe of https://shop.example fails"
    assert alert.service == "blackbox"


def test_how_many_failures_is_a_setting() -> None:
    world = World(DetectorSettings(probe_failures=1))
    assert rounds(world, world.probe("shop"), "10") == [[], FIRED]


def test_a_firing_probe_survives_a_restart_and_knows_its_reason() -> None:
    world = World()
    row = world.probe("shop")
    rounds(world, row, "1000", REFUSED)
    world.restart()
    told = world.see({row: 0.0})
    assert [alert.summary for alert in told] == [REFUSED]
    world.now_ms += 30_000
    assert rounds(world, row, "11") == [[], RESOLVED]


def test_a_probe_that_is_made_no_more_ends_its_alert() -> None:
    world = World()
    rounds(world, world.probe("shop"), "1000")
    assert world.wait(60_000) == []
    [alert] = world.wait(120_000)
    assert not alert.firing and alert.summary is not None
    assert alert.summary.text() == "its series no longer reports"


def outage(world: World, count: int, failing: int, times: int) -> list[Alert]:
    """`failing` of `count` probes of as many services fail; each has its own beat within 30 s."""
    rows = [world.probe(f"s{number}") for number in range(count)]
    told, began = [], world.now_ms
    for time in range(times):
        for number, row in enumerate(rows):
            world.now_ms = began + time * 30_000 + number * (30_000 // count)
            result = 0.0 if number < failing else 1.0
            told += world.see({row: result}, {row: REFUSED} if not result else None)
    world.now_ms = began + times * 30_000
    return told


def test_an_outage_of_our_own_network_is_one_alert_and_one_incident() -> None:
    world = World()
    assert outage(world, 12, 0, 4) == []
    told = outage(world, 12, 12, 6)
    assert {alert.name for alert in told} == {"AllProbesFail"}
    first = told[0]
    assert first.summary is not None and first.evidence is not None
    assert first.summary.text().startswith(
        "12 of 12 probes fail at once: look first at the network"
    )
    assert first.evidence.lines == ("shop:80 refuses the connection",)
    assert first.starts_ms <= NOW + 4 * 30_000 + 30_000
    correlator = Correlator(
        CorrelatorSettings(), Catalogue.of([Service(f"s{n}") for n in range(12)])
    )
    incidents = set()
    for alert in told:
        correlator.take([alert], now_ms=alert.arrival_ms)
        incidents |= {g.id for g in correlator.step(alert.arrival_ms).groupings}
    incidents |= {g.id for g in correlator.step(world.now_ms + 60_000).groupings}
    assert len(incidents) == 1
    # All is well again: it ends, and nobody hears of single probes.
    told = outage(world, 12, 0, 3)
    assert [(alert.name, alert.firing) for alert in told] == [("AllProbesFail", False)]


def test_what_still_fails_after_the_outage_is_told_by_itself() -> None:
    world = World()
    outage(world, 6, 0, 3)
    assert {alert.name for alert in outage(world, 6, 6, 4)} == {"AllProbesFail"}
    told = outage(world, 6, 1, 3)
    assert [a.labels["probe"] for a in told if a.name == "ProbeFailed" and a.firing][:1] == ["s0"]
    assert {a.labels["probe"] for a in told if a.name == "ProbeFailed"} == {"s0"}
    assert [a.firing for a in told if a.name == "AllProbesFail"][-1] is False


def test_a_failing_service_among_others_is_not_our_network() -> None:
    world = World()
    outage(world, 6, 0, 3)
    told = outage(world, 6, 3, 4)  # half of them
    assert {alert.name for alert in told} == {"ProbeFailed"}
    assert {alert.service for alert in told} == {"s0", "s1", "s2"}
    few = World()
    outage(few, 2, 0, 3)  # of two nobody can say that it is the network
    assert {alert.name for alert in outage(few, 2, 2, 4)} == {"ProbeFailed"}


def test_the_outage_survives_a_restart() -> None:
    world = World()
    outage(world, 6, 0, 3)
    outage(world, 6, 6, 4)
    world.restart()
    assert {alert.name for alert in outage(world, 6, 6, 2)} == {"AllProbesFail"}


def test_slow_probes_are_told_and_those_that_fail_say_nothing_of_speed() -> None:
    world = World()
    row, duration = world.probe("shop"), world.probe("shop", "probe_duration_seconds")

    def run(times: int, seconds: float, ok: float = 1.0) -> list[Alert]:
        told = []
        for number in range(times):
            told += world.see({row: ok, duration: seconds + 0.01 * (number % 3)})
            world.now_ms += 30_000
        return told

    assert run(60, 0.8) == []
    assert run(1, 4.0) == []
    assert run(2, 0.8) == []
    failing = run(30, 10.0, ok=0.0)  # each at its timeout
    assert {alert.name for alert in failing} == {"ProbeFailed"}
    assert {(a.name, a.firing) for a in run(10, 0.8)} == {("ProbeFailed", False)}
    refused = run(100, 0.001, ok=0.0)  # quickly refused for an hour: nothing is learnt of it
    assert {alert.name for alert in refused} == {"ProbeFailed"}
    assert {(a.name, a.firing) for a in run(20, 0.8)} == {("ProbeFailed", False)}
    slow = run(8, 3.0)
    assert {alert.name for alert in slow} == {"ProbeSlow"}
    assert slow[0].severity.value == "warning" and slow[0].summary is not None
    assert slow[0].summary.text().startswith("a probe of http://shop/ takes 3.")


def certificate(world: World, days_left: float, metric: str = "probe_ssl_earliest_cert_expiry") -> tuple[int, float]:  # fmt: skip
    return world.probe("shop", metric), (world.now_ms + days_left * DAY) / 1000


def told(alerts: list[Alert]) -> list[tuple[str, str, bool]]:
    return [(alert.name, alert.severity.value, alert.firing) for alert in alerts]


WARNING = ("CertificateExpiring", "warning", True)
CRITICAL = ("CertificateExpiring", "critical", True)


def test_a_certificate_is_told_of_in_three_stages_and_resolves_when_renewed() -> None:
    world = World()
    row, ends = certificate(world, 22)
    assert world.see({row: ends}) == []
    [first] = world.wait(DAY + HOUR)
    assert told([first]) == [WARNING]
    assert first.summary is not None and first.evidence is not None
    assert first.summary.text() == "the certificate of http://shop/ expires in 20d"
    assert first.labels["signal"] == "expiry"
    seen = first.evidence
    assert seen.unit == "seconds" and seen.low == 21 * DAY / 1000
    assert seen.values[0] == pytest.approx(22 * DAY / 1000) and seen.value == seen.values[-1]
    later = [alert for _ in range(17 * 24) for alert in world.wait(HOUR)]
    assert set(told(later)) == {WARNING}
    urgent = [alert for _ in range(24) for alert in world.wait(HOUR)]
    assert CRITICAL in told(urgent) and told(urgent)[-1] == CRITICAL
    assert ("CertificateExpiring", "warning", False) in told(urgent)
    hours = [alert.summary.text() for alert in urgent if alert.summary and alert.severity.rank == 2]
    assert hours[:2] == [
        f"the certificate of http://shop/ expires in {left}" for left in ("3d", "71h")
    ]
    over = [alert for _ in range(4 * 24) for alert in world.wait(HOUR)]
    assert ("CertificateExpired", "critical", True) in told(over)
    expired = [alert for alert in over if alert.name == "CertificateExpired"][0]
    assert (
        expired.labels["signal"] == "availability"
    )  # it joins what else is wrong with the service
    world.restart()
    world.now_ms += 10 * 60_000
    renewed = world.see({row: (world.now_ms + 90 * DAY) / 1000})
    assert told(renewed) == [("CertificateExpired", "critical", False)]
    assert world.wait(HOUR) == []


def test_renewed_says_so() -> None:
    world = World()
    row, ends = certificate(world, 10)
    assert told(world.see({row: ends})) == [WARNING]
    world.now_ms += HOUR
    [alert] = world.see({row: (world.now_ms + 90 * DAY) / 1000})
    assert not alert.firing and alert.summary is not None
    assert alert.summary.text() == "the certificate of http://shop/ was renewed: 90d left"


@pytest.mark.parametrize(
    ("life_days", "quiet_until", "warned_at"),
    [
        (90.0, 21.2, 20.9),  # Let's Encrypt's, renewed with 30 days left
        (45.0, 11.5, 11.0),  # what it is to become, renewed with 15 days left
        (6.0, 1.6, 1.4),
        (1.0, 0.26, 0.24),  # of a service mesh, renewed at half of its life
    ],
)
def test_short_lives_are_told_of_later(life_days: float, quiet_until: float, warned_at: float) -> None:  # fmt: skip
    world = World()
    row, ends = certificate(world, life_days)
    began = world.probe("shop", "probe_ssl_earliest_cert_not_before")
    assert world.see({row: ends, began: world.now_ms / 1000}) == []
    assert world.wait(round((life_days - quiet_until) * DAY)) == []
    assert told(world.wait(round((quiet_until - warned_at) * DAY))) == [WARNING]


def test_a_short_life_is_learnt_from_a_renewal_where_nothing_says_when_it_began() -> None:
    world = World()
    row, ends = certificate(world, 1, "x509_cert_not_after")
    assert told(world.see({row: ends})) == [CRITICAL]  # for all we know it is a long-lived one
    world.now_ms += 12 * HOUR
    [alert] = world.see({row: (world.now_ms + DAY) / 1000})
    assert not alert.firing
    assert world.wait(17 * HOUR) == []


@pytest.mark.parametrize(
    "metric",
    [
        "probe_ssl_earliest_cert_expiry",
        "x509_cert_not_after",
        "certmanager_certificate_expiration_timestamp_seconds",
        "my_app_certificate_expiry_timestamp_seconds",
        "traefik_tls_certs_not_after",
    ],
)
def test_metrics_of_others_count(metric: str) -> None:
    world = World()
    row = world.series(metric, job="x", name="web", namespace="shop", subject_CN="shop.example")
    [alert] = world.see({row: (NOW + 2 * DAY) / 1000})
    assert told([alert]) == [CRITICAL]
    words = "shop/web" if metric.startswith("certmanager") else "shop.example"
    assert alert.summary is not None and words in alert.summary.text()


@pytest.mark.parametrize("value", [0.0, -1.0, 253_402_300_799.0, float("nan"), float("inf"), 1e300])
def test_what_is_no_time_is_not_one(value: float) -> None:
    world = World()
    assert world.see({world.probe("shop", "x509_cert_not_after"): value}) == []
    assert world.wait(DAY) == []


def test_half_of_a_pool_is_renewed_and_the_alert_does_not_flap() -> None:
    world = World()
    row, old = certificate(world, 10)
    new = (world.now_ms + 90 * DAY) / 1000
    seen = []
    for number in range(40):
        seen += world.see({row: old if number % 3 else new})
        world.now_ms += 30_000
    assert told(seen) == [WARNING]
    later = []
    for _ in range(15):
        later += world.see({row: new})
        world.now_ms += 30_000
    assert [alert.firing for alert in later] == [False]


def test_a_forgotten_series_ends_its_alert() -> None:
    world = World()
    row, ends = certificate(world, 10)
    world.see({row: ends})
    world.index.evict_stale(world.now_ms + 1)
    [alert] = world.wait(1_000)
    assert not alert.firing


def test_a_certificate_of_weeks_does_not_swallow_the_outage_of_today() -> None:
    world = World()
    row, ends = certificate(world, 10)
    expiring = world.see({row: ends})
    world.now_ms += DAY
    failing = [a for _ in range(3) for a in (world.see({world.probe("shop"): 0.0}), world.wait(30_000))[0]]  # fmt: skip
    correlator = Correlator(CorrelatorSettings(), Catalogue.of([Service("shop")]))
    correlator.take(expiring, now_ms=NOW)
    first = {g.id for g in correlator.step(NOW + 60_000).groupings}
    correlator.take(failing, now_ms=world.now_ms)
    second = {g.id: g for g in correlator.step(world.now_ms + 60_000).groupings}
    assert len(first) == 1 and len(second.keys() - first) == 1
    titles = {g.title.text() for g in second.values()}
    assert "shop: does not answer" in titles
