"""`tocsin probe`: try what is configured, or one address, now and by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import typer

from collectors.probe_run import run_probe
from collectors.probe_settings import DnsProbe, ProbeKind, ProbeSettings, ProbeTarget, TlsProbe
from collectors.probing import Names, Result
from model.clock import Clock, SystemClock
from model.errors import InputError, UnitError
from model.units import format_span, parse_duration
from pipeline import output
from pipeline.commands.options import DEFAULT_CONFIG, AsJson, Config
from pipeline.settings import load


def probe(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of configured probes, or addresses: https://shop.example/, tcp://db1:5432, "
            "tls://mail.example:465, dns:shop.example, dns://9.9.9.9/shop.example?type=MX. "
            "Nothing: all that are configured.",
            show_default=False,
        ),
    ] = None,
    config: Config = DEFAULT_CONFIG,
    timeout: Annotated[
        str, typer.Option("--timeout", help="For each probe, instead of what is configured.")
    ] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", "-k", help="Accept any certificate of an address.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Try an address, or all configured probes, once and by hand: each phase; exit 1 if one fails."""
    settings, targets = _chosen(what or [], config, insecure)
    if timeout:
        settings, targets = _hurried(settings, targets, timeout)
    if not targets:
        output.say(f"{config}: no probes are configured (probes.targets in tocsin.yaml)")
        return
    clock, names = SystemClock(), Names(settings.lookups_max)
    with ThreadPoolExecutor(min(settings.workers, len(targets))) as pool:
        results = list(pool.map(lambda t: _run(t, settings, names, clock), targets))
    if json:
        output.show_json([_plain(t, r) for t, r in zip(targets, results, strict=True)])
    else:
        for target, result in zip(targets, results, strict=True):
            _show(target, result, clock.now_ms())
    if not all(result.ok for result in results):
        raise typer.Exit(output.FAILED)


def _run(target: ProbeTarget, settings: ProbeSettings, names: Names, clock: Clock) -> Result:
    return run_probe(target, settings, names, clock, clock.now_ms())


def _chosen(
    what: list[str], config: Path, insecure: bool
) -> tuple[ProbeSettings, list[ProbeTarget]]:
    """The probes that are meant; a configuration is needed only for names."""
    found = {text: address(text, insecure=insecure) for text in what if _is_address(text)}
    if what and len(found) == len(set(what)):
        return ProbeSettings(), [found[text] for text in dict.fromkeys(what)]
    settings = load(config).machine.probes
    known = {target.name: target for target in settings.targets}
    if not what:
        return settings, list(known.values())
    for name in what:
        if name not in found and name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise InputError(f"no probe is named {name!r}; there are: {listed}")
    return settings, [found.get(name) or known[name] for name in dict.fromkeys(what)]


def _is_address(text: str) -> bool:
    return "://" in text or text.startswith("dns:")


def address(text: str, *, insecure: bool = False) -> ProbeTarget:
    """A probe of an address, with everything else as by default.

    Raises
    ------
    InputError

    Examples
    --------
    >>> address("tcp://db1:5432").target, address("https://shop.example/").kind.value
    ('db1:5432', 'http')
    >>> address("dns://9.9.9.9/shop.example?type=MX").dns.server
    '9.9.9.9'
    """
    scheme, _, rest = text.partition(":")
    try:
        parts = urlsplit(text)
        tls = TlsProbe(insecure=insecure)
        name = text.partition("?")[0][:100]
        if scheme in ("http", "https"):
            return ProbeTarget(name, ProbeKind.HTTP, text, tls=tls)
        if scheme in ("tcp", "tls"):
            given = tls if scheme == "tls" else TlsProbe()
            return ProbeTarget(name, ProbeKind(scheme), parts.netloc, tls=given)
        if scheme == "dns":
            asked = parts.path.strip("/") if rest.startswith("//") else rest.partition("?")[0]
            kind = parse_qs(parts.query).get("type", ["A"])[0]
            dns = DnsProbe(server=parts.netloc, type=kind.upper())
            return ProbeTarget(name, ProbeKind.DNS, asked, dns=dns)
    except ValueError as error:
        raise InputError(f"{text!r}: {error}") from None
    raise InputError(f"{text!r}: an address begins with http, https, tcp, tls or dns")


def _hurried(
    settings: ProbeSettings, targets: list[ProbeTarget], timeout: str
) -> tuple[ProbeSettings, list[ProbeTarget]]:
    try:
        timeout_ms = parse_duration(timeout)
    except UnitError as error:
        raise InputError(f"--timeout: {error}") from None
    if timeout_ms < 1:
        raise InputError("--timeout: must be more than nothing")
    # By hand there is no next one that a long probe could meet.
    longer = [replace(t, timeout_ms=timeout_ms, interval_ms=timeout_ms) for t in targets]
    return settings, longer


def _show(target: ProbeTarget, result: Result, now_ms: int) -> None:
    say = output.printable
    verdict = typer.style("ok    ", fg="green") if result.ok else typer.style("FAILED", fg="red")
    took = _milliseconds(result.seconds)
    where = "" if target.name == target.instance else f"  {say(target.instance)}"
    output.say(f"{verdict}  {say(target.name)}{where}  {took}")
    if result.reason is not None:
        output.say(f"        {say(result.reason.text())}")
    if result.phases:
        phases = "   ".join(f"{name} {_milliseconds(s)}" for name, s in result.phases)
        output.say(f"        {phases}")
    if facts := _facts(result, now_ms):
        output.say(f"        {say(', '.join(facts))}")


def _facts(result: Result, now_ms: int) -> list[str]:
    facts = [result.address] if result.address else []
    if (status := result.values.get(("probe_http_status_code", ()))) is not None:
        facts.append(f"HTTP {status:.0f}")
    facts += [dict(labels)["version"] for name, labels in result.values if name == "probe_tls_version_info"]  # fmt: skip
    if (answers := result.values.get(("probe_dns_answer_rrs", ()))) is not None:
        facts.append(f"{answers:.0f} answers")
    if result.expires_ms is not None:
        left_ms = result.expires_ms - now_ms
        left = format_span(abs(left_ms))
        when = output.when(result.expires_ms)
        facts.append(f"certificate {'expires in' if left_ms > 0 else 'expired before'} {left} ({when})")  # fmt: skip
    return facts


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _plain(target: ProbeTarget, result: Result) -> dict[str, Any]:
    return {
        "name": target.name,
        "kind": target.kind.value,
        "target": target.instance,
        "service": target.service or target.name,
        "ok": result.ok,
        "reason": None if result.reason is None else result.reason.text(),
        "seconds": result.seconds,
        "address": result.address,
        "phases": dict(result.phases),
        "certificate_expires_ms": result.expires_ms,
        "values": {
            name + "".join(f'{{{k}="{v}"}}' for k, v in labels): float(value)
            for (name, labels), value in sorted(result.values.items())
        },
    }
