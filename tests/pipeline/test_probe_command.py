"""`tocsin probe`: by hand, of an address or of what is configured."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from benchmarks.ports import free_port
from collectors.probe_settings import ProbeKind
from pipeline.cli import app
from pipeline.commands.probe import address
from tests.collectors.probing_peers import Authority, web

RUN = CliRunner()


def test_an_address_by_hand() -> None:
    with web() as page:
        done = RUN.invoke(app, ["probe", f"http://127.0.0.1:{page.port}/?key=s3cret"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("ok ") and "HTTP 200" in done.output
    assert "resolve" in done.output and "processing" in done.output and "s3cret" not in done.output


def test_a_certificate_by_hand(tmp_path: Path) -> None:
    context, _ = Authority(tmp_path).context("127.0.0.1", days=5.5)
    with web(context) as page:
        where = f"tls://127.0.0.1:{page.port}"
        refused = RUN.invoke(app, ["probe", where])
        taken = RUN.invoke(app, ["probe", "-k", where])
    assert refused.exit_code == 1 and "is signed by no authority" in refused.output
    assert taken.exit_code == 0 and "certificate expires in 5d" in taken.output


def test_all_that_are_configured_and_one_of_them(tmp_path: Path) -> None:
    closed = free_port()
    (tmp_path / "key").write_text("s3cret")
    with web() as page:
        (tmp_path / "tocsin.yaml").write_text(
            "probes:\n"
            "  timeout: 5s\n"
            "  targets:\n"
            f"    - {{name: shop, kind: http, target: 'http://127.0.0.1:{page.port}/', interval: 5s, http: {{header_files: {{X-Key: key}}}}}}\n"
            f"    - {{name: db, kind: tcp, target: '127.0.0.1:{closed}', service: store}}\n"
        )
        config = ["--config", str(tmp_path)]
        every = RUN.invoke(app, ["probe", *config, "--json"])
        one = RUN.invoke(app, ["probe", "shop", *config])
        other = RUN.invoke(app, ["probe", "db", *config, "--timeout", "2m"])
        checked = RUN.invoke(app, ["check", *config])
        # A file of the configuration is beside it, wherever the command is run.
        assert {asked[2].get("x-key") for asked in page.asked} == {"s3cret"}
    assert every.exit_code == 1
    found = {item["name"]: item for item in json.loads(every.output)}
    assert found["shop"]["ok"] and found["shop"]["values"]["probe_http_status_code"] == 200
    assert found["db"]["reason"] == f"127.0.0.1:{closed} refuses the connection"
    assert found["db"]["service"] == "store"
    assert one.exit_code == 0 and "shop" in one.output and "db" not in one.output
    assert other.exit_code == 1 and "refuses the connection" in other.output
    assert f"probe shop: http http://127.0.0.1:{page.port}/ every 5s, of shop" in checked.output
    assert "2 probes" in checked.output


def test_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text("")
    config = ["--config", str(tmp_path)]
    assert "no probes are configured" in RUN.invoke(app, ["probe", *config]).output
    for words in (["nope", *config], ["gopher://x/"], ["tcp://nowhere"], ["tcp://127.0.0.1:1", "--timeout", "soon"]):  # fmt: skip
        assert RUN.invoke(app, ["probe", *words]).exception is not None


def test_addresses() -> None:
    plain = address("dns:shop.example")
    assert (plain.kind, plain.target, plain.dns.server, plain.dns.type) == (ProbeKind.DNS, "shop.example", "", "A")  # fmt: skip
    asked = address("dns://127.0.0.1:5353/shop.example?type=mx")
    assert (asked.target, asked.dns.server, asked.dns.type) == ("shop.example", "127.0.0.1:5353", "MX")  # fmt: skip
    assert address("tls://[::1]:443").target == "[::1]:443"
