"""A real Zabbix 6.0 (server, agent, frontend with its API) from Debian's packages, on free ports of loopback."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from benchmarks.ports import free_port
from tests.integration.conftest import missing, program, wait_for
from tests.integration.postgres_server import HASTY, Postgres, postgres

FRONTEND = Path("/usr/share/zabbix")
SQL = Path("/usr/share/zabbix-server-pgsql")
WANTED = frozenset(
    (
        *("role", "role_rule", "usrgrp", "users", "users_groups", "hstgrp", "config"),
        *("config_autoreg_tls", "media_type", "graph_theme", "globalmacro", "regexps", "expressions"),
    )
)  # fmt: skip
"""Tables of the shipped data without its hundreds of templates, whose loading takes twenty seconds."""
CONFIG = """\
LogType=console
ListenIP=127.0.0.1
ListenPort={port}
DBHost=127.0.0.1
DBPort={db_port}
DBName=zabbix
DBUser=postgres
AllowRoot=1
CacheUpdateFrequency=1
StartPollers=2
StartPollersUnreachable=1
StartTrappers=1
StartDBSyncers=1
StartPingers=0
StartDiscoverers=0
StartHTTPPollers=0
StartVMwareCollectors=0
StartLLDProcessors=1
StartPreprocessors=1
StartAlerters=1
StartEscalators=1
StartHistoryPollers=1
PidFile={folder}/server.pid
SocketDir={folder}
FpingLocation=/bin/true
"""
AGENT = """\
LogType=console
PidFile={folder}/agent.pid
Server=127.0.0.1
ListenIP=127.0.0.1
ListenPort={port}
StartAgents=1
AllowRoot=1
Hostname=real
"""
PHP = """\
<?php
$DB['TYPE'] = 'POSTGRESQL';
$DB['SERVER'] = '127.0.0.1';
$DB['PORT'] = '{db_port}';
$DB['DATABASE'] = 'zabbix';
$DB['USER'] = 'postgres';
$DB['PASSWORD'] = '';
$DB['SCHEMA'] = '';
$DB['ENCRYPTION'] = false;
$DB['KEY_FILE'] = $DB['CERT_FILE'] = $DB['CA_FILE'] = '';
$DB['VERIFY_HOST'] = false;
$DB['CIPHER_LIST'] = '';
$DB['VAULT_URL'] = $DB['VAULT_DB_PATH'] = $DB['VAULT_TOKEN'] = '';
$DB['DOUBLE_IEEE754'] = true;
$ZBX_SERVER = '127.0.0.1';
$ZBX_SERVER_PORT = '{port}';
$ZBX_SERVER_NAME = '';
$IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
"""


@dataclass
class Zabbix:
    """Where it is, and what is asked of it as its administrator."""

    url: str
    trapper: int
    agent: int
    token: str = ""
    userid: str = ""
    made: int = field(default=0)

    def api(self, method: str, params: Any) -> Any:
        """The result of one call of its API."""
        body = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        if self.token and method not in ("user.login", "apiinfo.version"):
            body["auth"] = self.token
        answer = requests.post(f"{self.url}/api_jsonrpc.php", json=body, timeout=120)
        answer.raise_for_status()
        told = answer.json()
        assert "error" not in told, f"{method}: {told}"
        return told["result"]

    def user(self, name: str, password: str, **more: Any) -> str:
        """A super administrator; returns its id."""
        groups = self.api("usergroup.get", {"filter": {"name": "Zabbix administrators"}})
        role = self.api("role.get", {"filter": {"name": "Super admin role"}})[0]["roleid"]
        made = {"username": name, "passwd": password, "roleid": role, "usrgrps": groups, **more}
        made["usrgrps"] = [{"usrgrpid": group["usrgrpid"]} for group in groups]
        return str(self.api("user.create", made)["userids"][0])

    def api_token(self, userid: str) -> str:
        """A token of a user's."""
        self.made += 1
        made = self.api("token.create", {"name": f"tocsin {self.made}", "userid": userid})
        return str(self.api("token.generate", made["tokenids"])[0]["token"])

    def host(self, name: str) -> str:
        """A host with an agent's interface; returns its id."""
        groups = self.api("hostgroup.get", {"filter": {"name": "Linux servers"}})
        where = {"type": 1, "main": 1, "useip": 1, "ip": "127.0.0.1", "dns": "", "port": str(self.agent)}  # fmt: skip
        made = {"host": name, "groups": [{"groupid": groups[0]["groupid"]}], "interfaces": [where]}
        return str(self.api("host.create", made)["hostids"][0])

    def item(self, hostid: str, key: str, *, polled: bool = False) -> None:
        """A trapper's item; or one that the agent is asked for every second."""
        made: dict[str, Any] = {"hostid": hostid, "name": key, "key_": key, "type": 2, "value_type": 3}  # fmt: skip
        if polled:
            (found,) = self.api("hostinterface.get", {"hostids": hostid})
            made |= {"type": 0, "delay": "1s", "interfaceid": found["interfaceid"]}
        self.api("item.create", made)

    def trigger(self, name: str, expression: str, **more: Any) -> str:
        """A trigger; returns its id."""
        made = {"description": name, "expression": expression, "priority": 4, **more}
        return str(self.api("trigger.create", made)["triggerids"][0])

    def send(self, host: str, key: str, value: object) -> None:
        """What `zabbix_sender` does, until the server knows the item."""
        data = [{"host": host, "key": key, "value": str(value)}]
        body = json.dumps({"request": "sender data", "data": data}).encode()

        def taken() -> bool:
            with socket.create_connection(("127.0.0.1", self.trapper), 60) as sock:
                sock.sendall(b"ZBXD\x01" + struct.pack("<Q", len(body)) + body)
                answer = b""
                while piece := sock.recv(4096):
                    answer += piece
            return b"failed: 0" in answer

        # The server learns of new items a second later.

        wait_for(taken, f"the server to take {key} of {host}")

    def event(self, eventid: str) -> dict[str, Any]:
        """An event with its acknowledgements."""
        asked = {"eventids": eventid, "select_acknowledges": "extend", "output": "extend"}
        (found,) = self.api("event.get", asked)
        return dict(found)

    def problems(self, triggerid: str) -> list[dict[str, Any]]:
        """What is open of a trigger."""
        asked = {"objectids": triggerid, "output": "extend", "selectAcknowledges": "extend"}
        return list(self.api("problem.get", asked))


def _load(database: Postgres) -> None:
    """Schema, and as much of the shipped data as an API and a server need."""
    database.database("zabbix")
    with database.connect("zabbix") as conn:
        conn.execute(gzip.decompress((SQL / "schema.sql.gz").read_bytes()))
        data = gzip.decompress((SQL / "data.sql.gz").read_bytes()).decode()
        statements = re.split(r"(?m)^(?=INSERT INTO )", data)
        kept = [s for s in statements if (found := re.match(r"INSERT INTO (\w+)", s)) and found[1] in WANTED]  # fmt: skip
        text = "".join(kept).replace("COMMIT;", "")
        conn.execute(f"SET session_replication_role = replica; BEGIN; {text} COMMIT;".encode())


def _frontend(folder: Path, config: str) -> Path:
    """A copy of the frontend that reads its configuration there, not in /etc."""
    web, own = folder / "web", folder / "zabbix.conf.php"
    own.write_text(config)
    left_out = shutil.ignore_patterns("locale", "fonts", "COPYING", "*.png", "*.svg")
    shutil.copytree(FRONTEND, web, ignore=left_out, ignore_dangling_symlinks=True)
    reads = web / "include" / "classes" / "core" / "CConfigFile.php"
    told = re.sub(r"CONFIG_FILE_PATH = '[^']+'", f"CONFIG_FILE_PATH = '{own}'", reads.read_text())
    reads.write_text(told)
    return web


def _end(process: subprocess.Popen[bytes]) -> None:
    """With its children, which it leads as a group."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
    except ProcessLookupError:
        pass
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _started(command: list[str], log: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, start_new_session=True, **more
        )
    try:
        yield process
    finally:
        _end(process)


@contextmanager
def zabbix_server(folder: Path) -> Iterator[Zabbix]:
    """Database, server, agent and frontend until the block ends."""
    if not SQL.is_dir() or not FRONTEND.is_dir():
        missing("Zabbix is not installed (tests/integration/install.sh)")
    server, agent, php = program("zabbix_server"), program("zabbix_agentd"), program("php")
    ports = [free_port(), free_port(), free_port()]  # Zabbix knows none above 32767
    with ExitStack() as stack:
        database = stack.enter_context(postgres(HASTY))
        _load(database)
        told = {"port": ports[0], "db_port": database.port, "folder": folder}
        (folder / "server.conf").write_text(CONFIG.format(**told))
        (folder / "agent.conf").write_text(AGENT.format(folder=folder, port=ports[1]))
        web = _frontend(folder, PHP.format(**told))
        commands = {
            "server": [server, "-f", "-c", str(folder / "server.conf")],
            "agent": [agent, "-f", "-c", str(folder / "agent.conf")],
            "web": [php, "-S", f"127.0.0.1:{ports[2]}", "-t", str(web)],
        }
        environment = {**os.environ, "PHP_CLI_SERVER_WORKERS": "4"}
        for name, command in commands.items():
            stack.enter_context(_started(command, folder / f"{name}.log", env=environment))
        zabbix = Zabbix(f"http://127.0.0.1:{ports[2]}", ports[0], ports[1])
        wait_for(lambda: zabbix.api("apiinfo.version", []), "Zabbix's API")
        zabbix.token = zabbix.api("user.login", {"username": "Admin", "password": "zabbix"})
        zabbix.userid = zabbix.user("tocsin", "A-long-password-2")
        yield zabbix
