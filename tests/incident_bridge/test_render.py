"""What strangers wrote reaches tickets, chats and mails inert (A5, A7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incident_bridge.neutral import harmless, say, visible
from incident_bridge.notify import AppriseReceiver, build, read_secret
from incident_bridge.render import BODY_MAX, PAGE_MAX, TITLE_MAX, Renderer
from incident_bridge.settings import ReceiverKind, ReceiverSettings, RetrySettings
from model.action import PageDraft
from model.catalogue import Catalogue, Team
from model.clock import ManualClock
from model.errors import InputError, TransientError
from model.incident import Grouping, Incident
from model.reason import because
from tests.incident_bridge.conftest import House
from tests.incident_bridge.desk_server import DeskServer

HOSTILE = [
    "<!channel> wake up",
    "@here @channel @everyone",
    "[Reset your password](https://evil.example/x)",
    "<https://evil.example|bank.example>",
    "{code}{jndi:ldap://x}{{7*7}}",
    "![x](http://evil.example/pixel.png)",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "h1. x | table | {html}",
    "`rm -rf /` **bold** ~~gone~~",
    "line one\nTicket closed by admin",
    "\x1b[2Jgone \x07 \u2028 \u202e txt.exe \u200b",
]


def _everything(incident: Incident, renderer: Renderer | None = None) -> list[str]:
    renderer = renderer or Renderer(str, "https://tocsin.example")
    ticket = renderer.ticket(incident, [*incident.evidence])
    page = renderer.page(incident, "phone", "opened")
    return [ticket.title, ticket.body, ticket.comment, page.title, page.body]


@pytest.fixture
def incident(house: House, grouping: Callable[..., Grouping]) -> Incident:
    house.take(grouping())
    return house.incident()


@pytest.mark.parametrize("text", HOSTILE)
def test_a05_mentions_links_and_macros_are_inert(incident: Incident, text: str) -> None:
    hostile = replace(
        incident,
        title=because("{x}", x=text),
        services=(text,),
        team=text,
        evidence=(because("saw {x}", x=text),),
        causes=(replace(incident.causes[0], service=text, reasons=(because("{x}", x=text),)),),
    )
    for said in _everything(hostile):
        own = said.replace("https://tocsin.example/incidents/inc1", "")
        assert not set(own) & set("<>@[]{}`|*~")
        assert "://" not in own and "www." not in own


@pytest.mark.parametrize("text", HOSTILE)
def test_a07_one_value_is_one_line(incident: Incident, text: str) -> None:
    hostile = replace(incident, title=because("{x}", x=text))
    title = Renderer().title(hostile)
    assert title.isprintable()
    assert len(title.splitlines()) == 1


@settings(deadline=None)
@given(st.text())
def test_a07_what_cannot_be_seen_is_shown_as_an_escape(text: str) -> None:
    shown = harmless(text)
    assert shown.isprintable() or all(c.isprintable() or c.isspace() for c in shown)
    assert "\n" not in visible(text) and "\x1b" not in visible(text)


def test_lengths_are_bounded_and_the_link_is_never_cut_off(incident: Incident) -> None:
    long = because("{x}", x="x" * 4_000)
    big = replace(
        incident,
        title=long,
        evidence=(long,) * 10,
        services=("s" * 200,) * 500,
        causes=(replace(incident.causes[0], reasons=(long,) * 50),) * 9,
    )
    renderer = Renderer(str, "https://tocsin.example")
    ticket, page = renderer.ticket(big), renderer.page(big, "phone", "opened")
    assert len(ticket.title) <= TITLE_MAX and len(page.title) <= TITLE_MAX
    assert len(ticket.body) <= BODY_MAX and len(page.body) <= PAGE_MAX
    assert ticket.body.endswith("https://tocsin.example/incidents/inc1")


def test_a_phone_reads_priority_and_trouble_first(incident: Incident) -> None:
    page = Renderer(str, "https://t").page(incident, "phone", "opened")
    assert page.title == "P2 cart fails"
    assert page.body.splitlines()[0] == "1. cart"
    assert page.url == "https://t/incidents/inc1"


def test_words_are_translated_values_are_not(incident: Incident) -> None:
    chinese = {"{service} fails": "{service} 故障", "Resolved: {title}": "已恢复:{title}"}
    renderer = Renderer(lambda text: chinese.get(text, text))
    assert renderer.page(incident, "phone", "resolved").title == "已恢复:cart 故障"


TEMPLATES = [
    "{{ ''.__class__.__mro__ }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{x:>1000000000}",
    "{x.__class__.__init__.__globals__}",
    "${7*7} #{7*7} <%= 7*7 %> %(x)s {{7*7}}",
]


@pytest.mark.parametrize("text", TEMPLATES)
def test_a08_what_looks_like_a_template_is_said_as_it_came(incident: Incident, text: str) -> None:
    for hostile in (
        replace(incident, title=because("{x}", x=text)),
        replace(incident, evidence=(because("saw {x}", x=text),)),
        replace(incident, causes=(replace(incident.causes[0], service=text),)),
    ):
        said = _everything(hostile)
        assert harmless(text) in "".join(said) and "49" not in "".join(said)
        assert sum(map(len, said)) < 5_000


def test_a08_a_value_is_never_a_template() -> None:
    assert say(because("{a} {b}", a="{b}", b="{a.__class__}"), str) == "❴b❵ ❴a.__class__❵"


@pytest.fixture
def draft(incident: Incident) -> PageDraft:
    return Renderer(str, "https://t").page(incident, "phone", "opened")


@pytest.mark.filterwarnings("ignore:.*imghdr.*:DeprecationWarning")  # Apprise's own import
def test_a05_apprise_delivers_as_text(server: DeskServer, draft: PageDraft) -> None:
    server.answer = lambda _: (200, {}, b"")
    url = server.url.replace("http://", "json://")
    AppriseReceiver("phone", [url], timeout_ms=120_000).send(draft, idempotency_key="k")
    body = json.loads(server.requests[-1][3])
    assert body["title"] == "P2 cart fails"
    assert "https://t/incidents/inc1" in body["message"]


@pytest.mark.filterwarnings("ignore:.*imghdr.*:DeprecationWarning")  # Apprise's own import
def test_what_apprise_cannot_deliver_is_tried_again_and_names_no_secret(
    server: DeskServer, draft: PageDraft
) -> None:
    server.answer = lambda _: (500, {}, b"")
    url = server.url.replace("http://", "json://") + "?+X=hunter2"
    with pytest.raises(TransientError) as raised:
        AppriseReceiver("phone", [url], timeout_ms=120_000).send(draft, idempotency_key="k")
    assert "hunter2" not in str(raised.value)


def test_receivers_are_built_with_their_people(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("# chat\njson://localhost\n\n")
    (tmp_path / "secret").write_text("s3cret\n")
    kinds = [
        ReceiverSettings("ops", people=("zoe",), teams=("web",)),
        ReceiverSettings("chat", ReceiverKind.APPRISE, urls_file=str(tmp_path / "urls")),
        ReceiverSettings(
            "hook",
            ReceiverKind.WEBHOOK,
            url="https://x.example/",
            secret_files=(str(tmp_path / "secret"),),
        ),
    ]
    shop = Catalogue.of([], [Team("web", ("ann", "zoe"))])
    built = build(kinds, ManualClock(), catalogue=shop, retry=RetrySettings())
    assert {name: r.channel for name, r in built.items()} == {
        "console": "console",
        "ops": "console",
        "chat": "apprise",
        "hook": "webhook",
    }
    assert built["ops"].people == ("zoe", "ann")
    with pytest.raises(InputError, match="urls_file: 'nowhere' cannot be read"):
        read_secret("nowhere", "receiver chat: urls_file")
