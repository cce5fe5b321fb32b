"""PostgreSQL: a linter reads all SQL that is sent or written, and has nothing to say that is not explained."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from tests.schema.drifts import POSTGRESQL
from tests.schema.explained import DOCS, EXPLAINED, complaints, documented, is_explained
from tests.schema.incident import happen
from tests.schema.rows import fill
from tests.test_migrations import offline
from twofold.schema import adoption
from twofold.schema.conformity.findings import Verdict
from twofold.schema.history import EVERY
from twofold.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa

    from tests.databases import Database, Sources
    from tests.schema.drifts import Drift

CHANGES = ("ALTER", "CREATE", "DELETE", "DROP", "INSERT", "REINDEX", "RESET", "SET", "UPDATE")


@contextmanager
def sent(engine: sa.Engine) -> Iterator[list[str]]:
    """What an engine is told to change, a line each, and the transactions around it."""
    script, begun = list[str](), set[Any]()

    def statement(connection: sa.Connection, _cursor: Any, text: str, parameters: Any, *_rest: Any) -> None:
        line = " ".join((text % parameters if parameters else text).split())
        if not line.startswith(CHANGES):
            return
        is_alone = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        if not is_alone and connection not in begun:
            begun.add(connection)
            script.append("BEGIN;")
        script.append(f"{line};")

    def end(connection: sa.Connection) -> None:
        if connection in begun:
            begun.remove(connection)
            script.append("COMMIT;")

    listeners: dict[str, Callable[..., None]] = {"before_cursor_execute": statement, "commit": end, "rollback": end}
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    yield script
    for name, listener in listeners.items():
        event.remove(engine, name, listener)


def repaired(database: Database) -> list[str]:
    """What an adoption sends."""
    engine = database.engine()
    with sent(engine) as script:
        adoption.apply(engine, Settings(), allow=["heavy"])
    return script


def companies() -> Iterator[list[Drift]]:
    """Every drift that can be repaired, as many at a time as there can be: one of each thing that differs."""
    by_subject: dict[str, list[Drift]] = {}
    for drift in POSTGRESQL:
        if drift.sees[2] in {Verdict.ADDITIVE, Verdict.HEAVY}:
            by_subject.setdefault(drift.sees[1], []).append(drift)
    for company in zip_longest(*by_subject.values()):
        yield [drift for drift in company if drift is not None]


@pytest.mark.backends("postgresql")
def test_a_linter_finds_nothing_that_is_not_explained_and_every_explanation_is_needed(
    database: Database, databases: Sources
) -> None:
    scripts = [offline(database.url, history=one).splitlines() for one in EVERY]
    happen(database)
    scripts.append(repaired(database))
    for company in companies():
        with databases.database("postgresql", migrated=True) as drifted:
            with drifted.engine().connect() as connection:
                for drift in company:
                    drift.make(connection)
            fill(drifted)
            scripts.append(repaired(drifted))
    found = set[tuple[str, str]]().union(*map(complaints, scripts))
    assert {(rule, line) for rule, line in found if not is_explained(rule, line)} == set()
    assert {rule for rule, _ in found} == {one.rule for one in EXPLAINED}


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE mfa_events ALTER COLUMN id TYPE BIGINT;",
        "ALTER TABLE mfa_events DROP COLUMN user_id;",
        "ALTER TABLE mfa_events ALTER COLUMN seq SET NOT NULL;",
        "ALTER TABLE mfa_events ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;",
        "ALTER TABLE mfa_events ADD UNIQUE (user_id, seq);",
        "CREATE INDEX ix_mfa_events_created_at ON mfa_events (created_at);",
        "DROP TABLE mfa_events;",
    ],
)
def test_what_makes_people_wait_or_loses_rows_is_not_explained_away(statement: str) -> None:
    script = ["SET lock_timeout = '500ms';", "SET statement_timeout = '1s';", statement]
    assert [rule for rule, line in complaints(script) if not is_explained(rule, line)]


def test_the_page_tells_every_rule_and_why_it_is_broken() -> None:
    page = DOCS.read_text(encoding="utf-8")
    assert page == documented(page), "write it: python -m tests.schema.explained"
