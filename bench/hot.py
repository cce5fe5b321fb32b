"""How many updates of a login stay within their page, so that no index is written: HOT, by the room that pages have."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from bench.pgbench import Pgbench

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.server import Server

_TABLE = "user_mfa_secrets"
_CLIENTS = 4
_SLICES = 4
_SETTLES_WITHIN = 30.0


@dataclass
class Filled:
    """A table with one fillfactor under a load of verifications; shares and rates, a slice of the load each."""

    fillfactor: int
    updates: int
    bytes_before: int
    bytes_after: int = 0
    shares: list[float] = field(default_factory=list[float])
    rates: list[float] = field(default_factory=list[float])

    def plain(self) -> dict[str, Any]:
        """The table as JSON has it."""
        return {
            "fillfactor": self.fillfactor,
            "updates": self.updates,
            "hot_shares": [round(share, 3) for share in self.shares],
            "verifications_per_second": [round(rate) for rate in self.rates],
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
        }


def filled(server: Server, template: str, people: int, fillfactor: int, told: Callable[[str], None]) -> Filled:
    """Copy a crowd, rewrite its table with a fillfactor, and verify four times for each user, by pgbench.

    Its pages are as full as the fillfactor lets them be when the load begins, the worst case for HOT.
    """
    name = f"hot_{fillfactor}"
    told(f"fillfactor {fillfactor}: copying {people:,} users")
    url = server.copy(name, template)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE {_TABLE} SET (fillfactor = {fillfactor})".encode())
        connection.execute(f"CLUSTER {_TABLE} USING uq_{_TABLE}_user_id".encode())
        server.settle(name)
        found = Filled(fillfactor, 0, _bytes(connection))
        pgbench = Pgbench(server, url, list(range(1, people + 1)))
        updates, hot = _updates(connection, 0)
        try:
            for number in range(_SLICES):
                told(f"fillfactor {fillfactor}: verifications, {number + 1} of {_SLICES}")
                measured = pgbench.run(_CLIENTS, people)
                found.updates += measured.operations
                after, hot_after = _updates(connection, updates + measured.operations)
                found.shares.append((hot_after - hot) / (after - updates))
                found.rates.append(measured.rate)
                updates, hot = after, hot_after
        finally:
            pgbench.close()
        found.bytes_after = _bytes(connection)
    return found


def _updates(connection: psycopg.Connection[Any], expected: int) -> tuple[int, int]:
    """The updates that the server has counted, and how many of them were HOT; it counts a moment later."""
    deadline = time.monotonic() + _SETTLES_WITHIN
    while True:
        query = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = %s"
        updates, hot = connection.execute(query, (_TABLE,)).fetchall()[0]
        if updates >= expected:
            return int(updates), int(hot)
        if time.monotonic() > deadline:
            raise RuntimeError(f"The server counted {updates} of {expected} updates.")
        time.sleep(0.1)


def _bytes(connection: psycopg.Connection[Any]) -> int:
    return int(connection.execute("SELECT pg_table_size(%s::regclass)", (_TABLE,)).fetchall()[0][0])
