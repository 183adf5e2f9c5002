"""The console's application, the same over both runtimes: what differs is handed in."""

from __future__ import annotations

from dataclasses import replace

from fastapi import FastAPI

from console import metrics as console_metrics
from console.app import create_app
from console.ports import Ports
from console.security import check_bind
from model.errors import InputError
from pipeline import wiring
from pipeline.settings import Settings
from pipeline.version import VERSION
from store import tokens as token_rows
from store import users as user_rows


def build_app(settings: Settings, ports: Ports, counters: console_metrics.Counters) -> FastAPI:
    """The application over a runtime's ports, completed by what the configuration says.

    Raises
    ------
    InputError
        If it would listen to others before anybody can sign in.
    """
    machine = settings.machine
    with ports.store.records.read() as conn:
        has_credentials = bool(user_rows.count(conn) or token_rows.count(conn))
    refused = check_bind(machine.console.listen, has_credentials)
    if refused is not None:
        raise InputError(refused.text())
    return create_app(
        replace(
            ports,
            settings=machine.console,
            intake=machine.intake,
            limits=machine.limits,
            watermark=machine.watermark,
            otlp=machine.otlp,
            intake_secrets=wiring.intake_secrets(settings),
            counters=counters,
            version=VERSION,
        )
    )
