"""A next release, made of this one: another schema, another form of snapshots, another kind of message."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

STEP = '''\
"""What the next release needs: it only adds."""

import sqlalchemy as sa
from alembic import op

revision = "records_9999_since_{number}"
down_revision = "{last}"


def upgrade():
    """Make a table and a column."""
    op.create_table("tomorrow", sa.Column("id", sa.Text(), primary_key=True))
    op.add_column("incidents", sa.Column("mood", sa.Text(), nullable=True))
'''


def next_release(folder: Path) -> Path:
    """The packages of this checkout, changed as a release may change them; where they are."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    for package in build["targets"]["wheel"]["packages"]:
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=leave)
    shutil.copytree(ROOT / "config", folder / "config")
    steps = folder / "store" / "migrations" / "records"
    last = max(path.stem for path in steps.glob("v*.py"))
    number = last[1:5]
    revision = f"records_{number}"
    assert f'revision = "{revision}' in (steps / f"{last}.py").read_text()
    (steps / "v9999_next.py").write_text(STEP.format(number=number, last=revision))
    detecting = folder / "pipeline" / "distributed" / "detecting.py"
    _change(detecting, "_VERSION = 1\n", "_VERSION = 2\n")
    _change(detecting, 'own["version"] != _VERSION', 'own["version"] not in (1, 2)')
    holding = folder / "pipeline" / "distributed" / "holding.py"
    told = "for data in fitting.told(one)\n            ],\n"
    _change(holding, told, told + '            (0, write(Newer("of-tomorrow"))),\n')
    version = folder / "pipeline" / "version.py"
    version.write_text(version.read_text().replace('VERSION = "', 'VERSION = "next-'))
    return folder


def _change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1, (path, before)
    path.write_text(text.replace(before, after))
