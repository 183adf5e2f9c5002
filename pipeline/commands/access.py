"""`tocsin users` and `tocsin tokens`: who may come in. They work on the data folder itself.

So the first account is made before anything listens to the world, by somebody who has the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy import Connection

from model.account import AuditRecord, Role, Token, User
from model.clock import SystemClock
from model.errors import InputError
from model.identity import derive_id
from pipeline import output
from pipeline.commands.options import DEFAULT_CONFIG, AsJson, Config
from pipeline.settings import load
from pipeline.wiring import open_store
from store import audit, passwords
from store import tokens as token_rows
from store import users as user_rows

users = typer.Typer(help="Local accounts: add, list, disable.", no_args_is_help=True)
tokens = typer.Typer(help="API tokens: add, list, revoke.", no_args_is_help=True)

PASSWORD_LENGTH_MIN = 10
RoleOption = Annotated[Role, typer.Option(help="viewer, responder, manager or admin.")]
Name = Annotated[str, typer.Argument(help="The name.")]


@contextmanager
def _writing(config: Config) -> Iterator[tuple[Connection, int]]:
    settings = load(config)
    clock = SystemClock()
    store = open_store(settings, clock)
    try:
        with store.records.write() as conn:
            yield conn, clock.now_ms()
    finally:
        store.close()


@users.command("add")
def add_user(name: Name, role: RoleOption = Role.VIEWER, config: Config = DEFAULT_CONFIG) -> None:
    """Add an account (or change its role and password); the password is asked for."""
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    if len(password) < PASSWORD_LENGTH_MIN:
        raise InputError(f"a password needs at least {PASSWORD_LENGTH_MIN} characters")
    with _writing(config) as (conn, now_ms):
        user_rows.save(conn, [User(name, role, passwords.hash_password(password))])
        audit.save(conn, [AuditRecord(now_ms, "command line", "user.add", name, role)])
    typer.echo(f"{name}: {role}")


@users.command("list")
def list_users(config: Config = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """List accounts."""
    with _writing(config) as (conn, _):
        found = user_rows.everyone(conn)
    rows = [(u.name, u.role.value, "disabled" if u.disabled else "") for u in found]
    if json:
        output.show_json([{"name": n, "role": r, "disabled": bool(d)} for n, r, d in rows])
    else:
        output.show_table(["NAME", "ROLE", ""], rows, empty="No accounts.")


@tokens.command("add")
def add_token(
    name: Name, role: RoleOption = Role.RESPONDER, config: Config = DEFAULT_CONFIG
) -> None:
    """Make a token; it is shown once."""
    secret, hashed = passwords.new_token()
    with _writing(config) as (conn, now_ms):
        token_rows.save(conn, [Token(derive_id("token", hashed), name, role, hashed, now_ms)])
        audit.save(conn, [AuditRecord(now_ms, "command line", "token.add", name, role)])
    typer.echo(secret)


@tokens.command("list")
def list_tokens(config: Config = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """List tokens (never the secrets)."""
    with _writing(config) as (conn, _):
        found = token_rows.everything(conn)
    rows = [
        (t.id, t.name, t.role.value, output.when(t.created_ms), "revoked" if t.revoked else "")
        for t in found
    ]
    if json:
        output.show_json(
            [{"id": i, "name": n, "role": r, "revoked": bool(x)} for i, n, r, _, x in rows]
        )
    else:
        output.show_table(["ID", "NAME", "ROLE", "CREATED", ""], rows, empty="No tokens.")


@tokens.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(help="The token's id.")], config: Config = DEFAULT_CONFIG
) -> None:
    """Revoke a token at once."""
    with _writing(config) as (conn, now_ms):
        if not token_rows.revoke(conn, token):
            raise InputError(f"no token {token}; see `tocsin tokens list`")
        audit.save(conn, [AuditRecord(now_ms, "command line", "token.revoke", token)])
    typer.echo(f"{token}: revoked")
