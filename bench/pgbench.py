"""The limit: PostgreSQL's own load generator, in C, with the statements that the library sends and the same rows.

Its text is compiled from the library's `Schema`, and its values are those of a verification that the library wrote.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bench.clients import Measured
from bench.server import Server
from twofold.account.statements import Schema

# What differs from one verification to the next is computed by pgbench from the row that it has just read.
_COMPUTED = frozenset({"user", "seen", "new_version", "new_event_count"})
_SCRIPT = """\\set user :first + :client_id * :each + random(0, :each - 1)
{read} \\gset
\\set seen :version
\\set new_version :version + 1
\\set new_event_count :event_count + 1
{write};
"""


class Pgbench:
    """pgbench on a copy of the measured database. Every client has users of its own, so every write succeeds."""

    def __init__(self, server: Server, url: str, ids: Sequence[int]) -> None:
        self._program, self._url, self._ids = server.programs / "pgbench", url, ids
        self._engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
        with self._engine.connect() as connection:
            schema = Schema.of(connection, "users.id")
            values = _written(connection, schema)
        self._events = schema.tables.events
        self._script, self._variables = _script(schema, values)
        self.close = self._engine.dispose

    def run(self, clients: int, operations: int) -> Measured:
        """Run about so many transactions. Raises where a transaction failed or did not write its row."""
        each = max(operations // clients, 1)
        variables = self._variables | {"first": str(self._ids[0]), "each": str(len(self._ids) // clients)}
        command = [str(self._program), "-n", "-M", "prepared", "-c", str(clients), "-t", str(each)]
        command += ["-j", str(min(clients, os.cpu_count() or 1)), "-f", "-", self._url]
        for name, value in variables.items():
            command += ["-D", f"{name}={value}"]
        before, cpu_before = self._count(), _children_cpu()
        done = subprocess.run(command, input=self._script, capture_output=True, text=True, check=False)
        cpu = _children_cpu() - cpu_before
        rate = re.search(r"^tps = ([0-9.]+) \(without initial connection time\)", done.stdout, re.MULTILINE)
        if done.returncode or rate is None:
            raise RuntimeError(f"pgbench failed: {done.stderr.strip()}")
        written = self._count() - before
        if written != each * clients:
            raise RuntimeError(f"pgbench made {each * clients} transactions and wrote {written} events.")
        return Measured(written, written / float(rate[1]), cpu)

    def _count(self) -> int:
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(self._events)).scalar_one()


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _written(connection: sa.Connection, schema: Schema) -> dict[str, Any]:
    """Return the values of the last verification in the database, under the names of the statement's parameters."""
    secrets, events = schema.tables.secrets, schema.tables.events
    event = connection.execute(sa.select(events).order_by(events.c.id.desc()).limit(1)).mappings().one()
    row = connection.execute(sa.select(secrets).where(secrets.c.user_id == event["user_id"])).mappings().one()
    return {f"new_{name}": row[name] for name in row} | {f"event_{name}": event[name] for name in event}


def _script(schema: Schema, values: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the script, and its variables. A variable cannot be NULL, so the values that are stand in the text."""
    dialect = sa.create_engine("postgresql+psycopg://", paramstyle="named").dialect
    read, write = schema.read.core.compile(dialect=dialect), schema.at_once[None].core.compile(dialect=dialect)
    text, variables = str(write), dict[str, str]()
    for name in write.params.keys() - _COMPUTED:
        value = values[name]
        if value is None:
            text = re.sub(rf"(?<!:):{name}\b", "NULL", text)
        else:
            variables[name] = value.isoformat() if isinstance(value, datetime) else str(value)
    return _SCRIPT.format(read=read, write=text), variables
