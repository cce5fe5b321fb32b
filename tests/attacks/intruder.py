"""Somebody who may write whatever SQL can say into the database, and has none of the keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.people import log_in
from twofold import Reason, Rejected
from twofold.metadata import NAMES
from twofold.schema import passkeys_spec

if TYPE_CHECKING:
    from twofold import MFA

SECRETS, CODES, DEVICES, EVENTS = NAMES
(PASSKEYS,) = passkeys_spec.NAMES

Rows = dict[str, list[dict[str, Any]]]
"""The rows of some tables, by the name of the table."""


@dataclass
class Intruder:
    """Copies rows and puts them back, as from a backup, into the tables that are named or into all four."""

    engine: sa.Engine

    def run(self, statement: str, **parameters: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), parameters)

    def copy(self, *names: str) -> Rows:
        """What stands in the tables now."""
        with self.engine.connect() as connection:
            return {
                name: [dict(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}").mappings()]
                for name in names or NAMES
            }

    def put_back(self, copied: Rows) -> None:
        """Replace all that stands in the tables that were copied."""
        with self.engine.begin() as connection:
            for name, rows in copied.items():
                connection.exec_driver_sql(f"DELETE FROM {name}")
                if rows:
                    columns, places = ", ".join(rows[0]), ", ".join(f":{column}" for column in rows[0])
                    connection.execute(sa.text(f"INSERT INTO {name} ({columns}) VALUES ({places})"), rows)


def alarms(mfa: MFA, user_id: Any) -> list[str]:
    """The tables of which the log says that their rows were altered, the oldest alarm first."""
    events = [event for event in mfa.events.recent(user_id, limit=1000) if event.kind == "rows_altered"]
    assert {event.status for event in events} <= {"alarm"}
    return [event.details["table"] for event in reversed(events)]


def refusal(mfa: MFA, user_id: Any, code: str) -> Reason:
    """Why a login with this code is refused, as it must be."""
    with pytest.raises(Rejected) as raised:
        log_in(mfa, user_id, code)
    return raised.value.reason
