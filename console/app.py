"""The application: every route, each through the gate."""

from __future__ import annotations

import logging

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from console import (
    api_alertmanager,
    api_incidents,
    api_intake,
    api_operations,
    api_otlp,
    api_remote_write,
    capacity,
    feedback,
    pages_account,
    pages_incidents,
    pages_services,
    probes,
    slos,
)
from console.accounts import Accounts
from console.api_operations import AccountApi
from console.api_webhooks import Webhooks
from console.call import Endpoint, Kind
from console.gate import Gate, SecurityHeaders
from console.pages_account import AccountPages
from console.ports import Ports
from console.reports import AvailabilityMemory
from console.security import HEADERS
from model.account import Role

log = logging.getLogger(__name__)

OPENAPI_PATH = "/api/openapi.json"
TAGS = {"v2": "Alertmanager", "v1": "Tocsin", "-": "Operations"}


def create_app(ports: Ports) -> FastAPI:
    """Build the application over what the pipeline lends it.

    Every route is declared as an `Endpoint` with the role it needs, and registered by `Gate.wrap`:
    there is no other way in. Interactive documentation is off (its scripts come from elsewhere);
    the OpenAPI description is at /api/openapi.json.
    """
    app = FastAPI(
        title="Tocsin",
        version=ports.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    accounts = Accounts(ports.store, ports.settings)
    gate = Gate(ports, accounts)
    app.state.accounts = accounts
    app.state.counters = ports.counters
    app.state.availability = AvailabilityMemory()
    # First, and past FastAPI's own machinery: a thousand pushes a second come here.
    hot = api_intake.HOT
    app.router.routes.insert(0, Route(hot.path, gate.wrap(hot), methods=[hot.method]))
    for endpoint in endpoints(app, accounts):
        _register(app, gate, endpoint)
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(404, _not_found)
    app.add_exception_handler(405, _not_found)
    app.add_exception_handler(Exception, _mistake(ports))
    return app


def endpoints(app: FastAPI, accounts: Accounts) -> tuple[Endpoint, ...]:
    """Every route but the hot one."""

    async def openapi(call: object) -> Response:
        """`/api/openapi.json`."""
        return JSONResponse(app.openapi())

    described = Endpoint(
        "GET", OPENAPI_PATH, Kind.API, Role.VIEWER, openapi, "This API's description (OpenAPI)"
    )
    return (
        *api_intake.ENDPOINTS,
        *Webhooks().endpoints(),
        *api_remote_write.RemoteWriteApi().endpoints(),
        *api_otlp.OtlpApi().endpoints(),
        *feedback.ENDPOINTS,
        *slos.ENDPOINTS,
        *probes.ENDPOINTS,
        *capacity.ENDPOINTS,
        *api_alertmanager.ENDPOINTS,
        *api_incidents.ENDPOINTS,
        *api_operations.ENDPOINTS,
        *AccountApi(accounts).endpoints(),
        described,
        *pages_incidents.ENDPOINTS,
        *pages_services.ENDPOINTS,
        *AccountPages(accounts).endpoints(),
        *pages_account.ENDPOINTS,
    )


def _register(app: FastAPI, gate: Gate, endpoint: Endpoint) -> None:
    family = endpoint.path.split("/")[2 if endpoint.path.startswith("/api/") else 1]
    described = endpoint.kind in (Kind.API, Kind.PUSH) and not endpoint.path.startswith("/static/")
    role = endpoint.role.value if endpoint.role else "public"
    app.add_api_route(
        endpoint.path,
        gate.wrap(endpoint),
        methods=[endpoint.method],
        summary=endpoint.summary,
        description=f"Needs the role: {role}.",
        tags=[TAGS.get(family if endpoint.path.startswith("/api/") else "-", "Operations")],
        include_in_schema=described,
        response_model=None,
        operation_id=_operation(endpoint),
    )


def _operation(endpoint: Endpoint) -> str:
    words = endpoint.path.replace("{", "").replace("}", "").replace("-", "_").split("/")
    return "_".join([endpoint.method.lower(), *[word for word in words if word]])


def _wants_page(request: Request) -> bool:
    inside = not request.scope["path"].startswith(("/api/", "/-/", "/metrics"))
    return inside and "text/html" in request.headers.get("accept", "")


async def _not_found(request: Request, error: Exception) -> Response:
    """Unknown addresses, said without a page of ours: nobody has been asked who they are."""
    status = getattr(error, "status_code", 404)
    text = "there is nothing at this address" if status == 404 else "this method is not known here"
    if _wants_page(request):
        link = '<p><a href="/">Tocsin</a></p>'
        return HTMLResponse(f"<!doctype html><title>Tocsin</title><p>{text}</p>{link}", status)
    return JSONResponse({"error": text, "problems": []}, status)


def _mistake(ports: Ports):  # type: ignore[no-untyped-def]
    async def handle(request: Request, error: Exception) -> Response:
        """Our mistake: the log has the traceback, the answer has nothing of it."""
        log.error("a request failed: %s %r", request.method, request.scope["path"], exc_info=error)
        ports.counters.add("tocsin_console_errors_total")
        text = "Tocsin made a mistake here; its log says more"
        response = JSONResponse({"error": text, "problems": []}, 500)
        # This one is made outside of every middleware.
        response.raw_headers += [*HEADERS, (b"cache-control", b"no-store")]
        return response

    return handle
