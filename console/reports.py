"""Reports: a period becomes a page, JSON, CSV or HTML. Built by `incident_bridge.reports`."""

from __future__ import annotations

from starlette.responses import Response

from console.call import Call, answer
from console.pages import page


def availability_of(call: Call, since_ms: int, until_ms: int) -> dict[str, float]:
    return {}


def report_response(call: Call, form: str) -> Response:
    return answer({})


def report_page(call: Call) -> Response:
    return page(call, "reports.html")
