"""The databases' own programs, which run a script as a person does."""

from __future__ import annotations

import os
import shutil
import subprocess

import sqlalchemy as sa

from tests.databases import BACKENDS, Database
from tests.servers import postgresql_programs

_PROGRAMS = {"sqlite": "sqlite3", "postgresql": str(postgresql_programs() / "psql"), "mariadb": "mariadb"}
HERE = tuple(name for name in BACKENDS if shutil.which(_PROGRAMS[name]))
"""The databases whose program is on this machine."""


def client(database: Database) -> list[str]:
    """The database's own program, as a person starts it."""
    url = sa.make_url(database.url)
    match database.backend:
        case "postgresql":
            return [_PROGRAMS["postgresql"], "--no-psqlrc", "--file", "-", database.url]
        case "sqlite":
            return ["sqlite3", str(url.database)]
        case _:
            return ["mariadb", f"--host={url.host}", f"--port={url.port}", f"--user={url.username}", str(url.database)]


def run(script: str, database: Database) -> subprocess.CompletedProcess[str]:
    """Run a script on a database."""
    url = sa.make_url(database.url)
    environment = os.environ | {"MYSQL_PWD": url.password or "", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        client(database), input=script, capture_output=True, text=True, check=False, env=environment, timeout=120
    )
