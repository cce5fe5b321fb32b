"""A plan, computed from what the database says of itself at this moment."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import NoResultFound

from twofold.errors import ConfigurationError
from twofold.metadata import UsersColumn
from twofold.schema import founding, place, spec
from twofold.schema.adoption import mariadb, postgresql, preflight, rights, sqlite
from twofold.schema.conformity import verifier
from twofold.schema.conformity.findings import Finding, Verdict
from twofold.schema.dependants import find
from twofold.schema.history import FOUR, HOSTS, History
from twofold.schema.plan.plan import Blocker, Change, Lock, Plan, Size, Step, Subject
from twofold.schema.users.referenced import obstacle
from twofold.schema.users.users import as_spelled, column, live_type
from twofold.schema.users.users import parent as users_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twofold.schema.catalog.relation import Relation
    from twofold.settings import Settings

_COUNTED = 10_000
_REMEDIES = {
    "table": "Move it out of the way, under another name.",
    "column": "Add it, or its default, with values that only you know.",
    "type": "Convert it into what is expected; only you know what its values mean.",
    "numbering": "Let the database number new rows: a sequence, an identity, AUTO_INCREMENT, INTEGER PRIMARY KEY.",
    "primary key": "Make id the primary key.",
    "unique": "Drop the key that is too strict, or add the one that is missing.",
    "foreign key": "Drop the key that is wrong, or set TWOFOLD_USERS to what it references.",
    "storage": "Make it an ordinary table.",
}
_POSTGRESQL_SIZE = sa.text(
    "SELECT reltuples::bigint AS rows, pg_total_relation_size(oid) AS bytes FROM pg_class "
    "WHERE oid = to_regclass(:name)"
)
_MARIADB_SIZE = sa.text(
    "SELECT table_rows AS `rows`, data_length + index_length AS bytes FROM information_schema.tables "
    "WHERE table_schema = database() AND table_name = :name"
)


TRIES = 10
"""So often a plan is made: somebody else who adopts at the same time is done after a few."""


def survey(
    connection: sa.Connection,
    settings: Settings,
    allowed: frozenset[str],
    *,
    leave_history: bool = False,
    for_another_role: bool = False,
    history: History = FOUR,
) -> Plan:
    """Everything that lies between this database and the revision of a history.

    Reads the catalog, and a bounded number of rows. What is for another role to carry out does not ask for the rights
    of this one.
    """
    named = UsersColumn.parse(settings.users)
    if place.translated(connection, None) is not None:
        raise ConfigurationError(
            "Tables are adopted where a name alone leads: give an engine whose search_path, or on MariaDB whose "
            "database, is theirs, in the place of a schema_translate_map."
        )
    planned = partial(
        _survey,
        connection,
        named,
        allowed,
        leave_history=leave_history,
        for_another_role=for_another_role,
        history=history,
    )
    for _ in range(TRIES - 1):
        relations = verifier.read(connection, history)
        # What was there when the tables were read may be gone, where somebody else changes them.
        with suppress(NoResultFound):
            found = planned(relations)
            # And what is blocked may have been tried on a table that is another one by now.
            if not found.blocked or verifier.read(connection, history) == relations:
                return found
    return planned(verifier.read(connection, history))


def _survey(
    connection: sa.Connection,
    named: UsersColumn,
    allowed: frozenset[str],
    relations: Mapping[str, Relation | None],
    *,
    leave_history: bool,
    for_another_role: bool,
    history: History,
) -> Plan:
    parent = users_table(connection, named)
    users = as_spelled(named, parent)
    report = verifier.judge(users, parent, relations, connection.dialect.name, history)
    in_the_way = obstacle(users, parent, connection.dialect.name)
    is_fresh = report.nothing_there and _is_founded(connection, named, parent)
    recorded = history.recorded(connection)
    # The ordinary upgrade makes what an empty database lacks, users included, unless it takes it for done.
    drift = () if is_fresh and recorded != history.revision else report.drift
    steps_of_users: dict[str, str] = {}
    if in_the_way:
        remedy = founding.remedy(connection, named) if parent is None else in_the_way.step
        steps_of_users = {users.table_key: remedy}
    remedies = {**_REMEDIES, **history.remedies}
    blocked = [_blocker(finding, steps_of_users, remedies) for finding in drift if finding.verdict is Verdict.BLOCKED]
    blocked += _beneath(connection, history)
    steps = list(_repairs(connection, users, parent, relations, drift, history))
    elsewhere = () if leave_history else history.elsewhere(connection)
    written = [] if leave_history or recorded == history.revision else [history.version_table]
    written += [HOSTS] if elsewhere else []
    if not for_another_role:
        blocked += rights.missing(connection, users, parent, steps, written)
    blocked += dict.fromkeys(one for step in steps for one in preflight.ask(connection, step))
    blocked += dict.fromkeys(find.blocking(connection, steps))
    if recorded != history.revision or steps:
        blocked += _foreign_clock(connection, users, relations, history)
    sizes = {name: _size(connection, name) for name in history.names if name in report.present}
    return Plan(
        report,
        tuple(steps),
        tuple(blocked),
        sizes,
        recorded,
        elsewhere,
        allowed,
        records=not leave_history,
        legacy_rows=_legacy_rows(connection, relations),
        mentioned=find.mentioning(connection, steps),
    )


def _is_founded(connection: sa.Connection, users: UsersColumn, parent: Relation | None) -> bool:
    """Whether the ordinary upgrade makes the users, too."""
    return parent is None and str(users) == "users.id" and founding.is_empty(connection)


def _beneath(connection: sa.Connection, history: History) -> Iterator[Blocker]:
    """The tables of another history that come first."""
    if (beneath := history.beneath) is None:
        return
    if absent := [name for name, relation in verifier.read(connection, beneath).items() if relation is None]:
        problem = f"it comes after {', '.join(absent)}, and they are not there"
        yield Blocker(history.names[0], "order", problem, f"Make them first: {beneath.twofold('upgrade')}")


def _blocker(finding: Finding, of_tables: Mapping[str, str], of_kinds: Mapping[str, str]) -> Blocker:
    """A finding with its remedy: that of its table, where there is one, else that of its kind."""
    remedy = of_tables.get(finding.table) or of_kinds.get(finding.aspect, "Change it by hand.")
    return Blocker(finding.table, finding.what, f"{finding.found}, expected: {finding.expected}", remedy)


def _repairs(
    connection: sa.Connection,
    users: UsersColumn,
    parent: Relation | None,
    relations: Mapping[str, Relation | None],
    drift: tuple[Finding, ...],
    history: History,
) -> Iterator[Step]:
    # What cannot refer to the users yet is not asked who refers to none of them.
    foreign = {one.table for one in drift if one.subject == "user_id" and one.verdict is Verdict.BLOCKED}
    repairable = [
        finding
        for finding in drift
        if finding.verdict is not Verdict.BLOCKED and not (finding.aspect == "foreign key" and finding.table in foreign)
    ]
    if not repairable or obstacle(users, parent, connection.dialect.name) is not None:
        return
    for expected in history.tables(column(users, live_type(connection, users))):
        mine = tuple(finding for finding in repairable if finding.table == expected.name)
        relation = relations[expected.name]
        if relation is None:
            yield _missing_table(connection, expected, users)
        elif mine and relation.kind == "table":
            yield from _recipes(Subject(connection, expected, relation, users, mine))


def _recipes(subject: Subject) -> Iterator[Step]:
    match subject.dialect.name:
        case "postgresql":
            yield from postgresql.steps(subject)
        case "sqlite":
            yield from sqlite.steps(subject)
        case _:
            yield from mariadb.steps(subject)


def _missing_table(connection: sa.Connection, expected: sa.Table, users: UsersColumn) -> Step:
    dialect = connection.dialect
    made = tuple(str(one.compile(dialect=dialect)).strip() for one in spec.statements(expected, dialect.name))
    mode = {"postgresql": "SHARE ROW EXCLUSIVE", "sqlite": "write lock"}.get(dialect.name, "metadata lock")
    lock = Lock(users.table_key, mode, "writers wait for an instant")
    keys = (one.name for one in expected.constraints if isinstance(one, sa.UniqueConstraint))
    indexes = (one.name for one in spec.indexes(expected, dialect.name))
    created = Change("create", (expected.name, *map(str, keys), *map(str, indexes)))
    return Step(expected.name, "table", "table", Verdict.ADDITIVE, made, (lock,), changes=(created,))


def _foreign_clock(
    connection: sa.Connection, users: UsersColumn, relations: Mapping[str, Relation | None], history: History
) -> Iterator[Blocker]:
    """Where a column cannot say its zone, only its newest rows can."""
    if connection.dialect.name == "postgresql":
        return
    for expected in history.tables(column(users, sa.BigInteger())):
        relation = relations[expected.name]
        live = None if relation is None or "id" not in relation.columns else relation.columns.get("created_at")
        if relation is None or live is None or live.type.family != "moment":
            continue
        subject = Subject(connection, expected, relation, users, ())
        asked = (preflight.future(subject),)
        yield from preflight.ask(
            connection, Step(expected.name, "moments", "timestamps", Verdict.SAME, (), probes=asked)
        )


def _legacy_rows(connection: sa.Connection, relations: Mapping[str, Relation | None]) -> int:
    """How many users have a row that Twofold never wrote: all of them, where what it would write is not there yet."""
    relation = relations.get(spec.NAMES[0])
    if relation is None or relation.kind != "table":
        return 0
    return of_before(connection, is_sealed=relation.columns.keys() >= {"state_mac", "event_count"})


def of_before(connection: sa.Connection, *, is_sealed: bool) -> int:
    """How many users have a row of before Twofold; `is_sealed` where the table has the columns of a seal."""
    query = sa.select(sa.func.count()).select_from(sa.table(spec.NAMES[0]))
    if is_sealed:
        query = query.where(sa.column("state_mac").is_(None), sa.column("event_count") == 0)
    return int(connection.execute(query).scalar_one())


def _size(connection: sa.Connection, name: str) -> Size:
    """What the catalog estimates; where it does not, rows are counted up to a limit."""
    rows, size = None, None
    if connection.dialect.name != "sqlite":
        query = _POSTGRESQL_SIZE if connection.dialect.name == "postgresql" else _MARIADB_SIZE
        if (found := connection.execute(query, {"name": name}).one_or_none()) is not None:
            rows = None if found.rows is None or found.rows < 0 else int(found.rows)
            size = None if found.bytes is None else int(found.bytes)
    if rows is None or rows < _COUNTED:
        some = sa.select(sa.literal(1)).select_from(sa.table(name)).limit(_COUNTED).subquery()
        counted = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
        rows = int(counted) if counted < _COUNTED else rows or _largest_id(connection, name)
    return Size(rows, size)


def _largest_id(connection: sa.Connection, name: str) -> int | None:
    """About as many as there are rows, at the price of one look into the index."""
    found: Any = connection.execute(sa.select(sa.func.max(sa.column("id"))).select_from(sa.table(name))).scalar_one()
    return None if found is None else int(found)
