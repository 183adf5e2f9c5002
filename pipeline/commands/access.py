"""`tocsin users` and `tocsin tokens`: who may come in. They work on the data folder itself.

So the first account is made before anything listens to the world, by somebody who has the files.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from console.accounts import Accounts
from console.call import Who
from model.account import Role
from model.clock import SystemClock
from model.errors import InputError
from pipeline import output
from pipeline.commands.options import DEFAULT_CONFIG, AsJson, Config
from pipeline.commands.run import override
from pipeline.settings import load
from pipeline.wiring import open_store
from store import tokens as token_rows
from store import users as user_rows

users = typer.Typer(help="Local accounts: add, list, disable.", no_args_is_help=True)
tokens = typer.Typer(help="API tokens: add, list, revoke.", no_args_is_help=True)

RoleOption = Annotated[Role, typer.Option(help="viewer, responder, manager or admin.")]
Name = Annotated[str, typer.Argument(help="The name.")]
Data = Annotated[
    Path | None, typer.Option(help="Folder for databases and snapshots; wins over the file.")
]


@contextmanager
def _accounts(config: Path, data: Path | None) -> Iterator[tuple[Accounts, dict[str, Any]]]:
    """The accounts of a data folder, and what every change of them is signed with."""
    settings = override(load(config), data=data, address="")
    clock = SystemClock()
    store = open_store(settings, clock)
    who = Who(f"{getpass.getuser()} (command line)", Role.ADMIN, "local")
    try:
        accounts = Accounts(store, settings.machine.console)
        yield accounts, {"by": who, "now_ms": clock.now_ms(), "address": ""}
    finally:
        store.close()


@users.command("add")
def add_user(
    name: Name,
    role: RoleOption = Role.VIEWER,
    config: Config = DEFAULT_CONFIG,
    data: Data = None,
) -> None:
    """Add an account (or change its role and password); the password is asked for."""
    password = typer.prompt(
        output.translate("Password"),
        hide_input=True,
        confirmation_prompt=output.translate("Repeat for confirmation"),
    )
    with _accounts(config, data) as (accounts, signed):
        accounts.save_user(name, role, password, **signed)
    output.say(f"{name}: {role}")


@users.command("list")
def list_users(config: Config = DEFAULT_CONFIG, data: Data = None, json: AsJson = False) -> None:
    """List accounts."""
    with _accounts(config, data) as (accounts, _), accounts.store.records.read() as conn:
        found = user_rows.everyone(conn)
    rows = [(u.name, u.role.value, "disabled" if u.disabled else "") for u in found]
    if json:
        output.show_json([{"name": n, "role": r, "disabled": bool(d)} for n, r, d in rows])
    else:
        output.show_table(["NAME", "ROLE", ""], rows, empty="No accounts.")


@users.command("disable")
def disable_user(name: Name, config: Config = DEFAULT_CONFIG, data: Data = None) -> None:
    """Refuse an account from now on, and sign out its browsers; `add` lets it in again."""
    with _accounts(config, data) as (accounts, signed):
        try:
            accounts.disable_user(name, **signed)
        except LookupError:
            raise InputError(f"no account {name}; see `tocsin users list`") from None
    output.say(f"{name}: disabled")


@tokens.command("add")
def add_token(
    name: Name,
    role: RoleOption = Role.RESPONDER,
    config: Config = DEFAULT_CONFIG,
    data: Data = None,
) -> None:
    """Make a token; it is shown once."""
    with _accounts(config, data) as (accounts, signed):
        typer.echo(accounts.make_token(name, role, **signed))


@tokens.command("list")
def list_tokens(config: Config = DEFAULT_CONFIG, data: Data = None, json: AsJson = False) -> None:
    """List tokens (never the secrets)."""
    with _accounts(config, data) as (accounts, _), accounts.store.records.read() as conn:
        found = token_rows.everything(conn)
    rows = [
        (
            t.id,
            t.name,
            t.role.value,
            output.when(t.created_ms),
            output.when(t.last_used_ms),
            "revoked" if t.revoked else "",
        )
        for t in found
    ]
    if json:
        output.show_json(
            [{"id": i, "name": n, "role": r, "revoked": bool(x)} for i, n, r, _, _, x in rows]
        )
    else:
        output.show_table(
            ["ID", "NAME", "ROLE", "CREATED", "LAST USED", ""], rows, empty="No tokens."
        )


@tokens.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(help="The token's id.")],
    config: Config = DEFAULT_CONFIG,
    data: Data = None,
) -> None:
    """Revoke a token at once."""
    with _accounts(config, data) as (accounts, signed):
        try:
            accounts.revoke_token(token, **signed)
        except LookupError:
            raise InputError(f"no token {token}; see `tocsin tokens list`") from None
    output.say(f"{token}: revoked")
