"""How PostgreSQL widens the ids of a table that people log in to: INTEGER to BIGINT, without a rewrite.

ALTER COLUMN TYPE would write the whole table anew while everybody waits. Instead a wider twin of the column is filled
batch by batch, a trigger keeps it filled, a CHECK proves that it holds the same values, and the two change places in an
instant. A table with more on its id than a key and plain indexes is rewritten after all, and the plan says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.schema.conformity.findings import Verdict
from twofold.schema.conformity.indexes import ID_TWIN
from twofold.schema.plan.plan import Lock, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.schema.catalog.relation import Index
    from twofold.schema.plan.plan import Style, Subject

_ROWS = 2000
# What hangs on the column and would go with it. Column privileges would be lost as well.
_HANGING = (
    "SELECT EXISTS (SELECT 1 FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid "
    "AND a.attnum = d.refobjsubid WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(:table) "
    "AND a.attname = 'id' AND NOT (d.classid = 'pg_attrdef'::regclass AND EXISTS (SELECT 1 FROM pg_attrdef own "
    "WHERE own.oid = d.objid AND own.adrelid = a.attrelid AND own.adnum = a.attnum) "
    "OR d.classid = 'pg_class'::regclass AND EXISTS ("
    "SELECT 1 FROM pg_class s WHERE s.oid = d.objid AND s.relkind = 'S' UNION ALL "
    "SELECT 1 FROM pg_index i WHERE i.indexrelid = d.objid AND i.indpred IS NULL AND i.indexprs IS NULL "
    "AND NOT i.indisreplident AND NOT i.indisclustered "
    "AND i.indnatts = i.indnkeyatts AND 0 = ALL (i.indoption::int2[]) AND NOT EXISTS ("
    "SELECT 1 FROM pg_constraint u WHERE u.conindid = i.indexrelid AND u.contype <> 'p')) "
    "OR d.classid = 'pg_constraint'::regclass AND EXISTS ("
    "SELECT 1 FROM pg_constraint c WHERE c.oid = d.objid AND (c.contype IN ('p', 'n') OR c.conname = :check)))) "
    "OR EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = to_regclass(:table) AND a.attname = 'id' "
    "AND a.attacl IS NOT NULL) "
)
# Rows are filled by UPDATE, which a rewrite is not: a trigger or rule of the host may refuse it, do something else, or
# write a line for each row; and what is published for updates may have no identity, or one that its filter goes beyond.
# A table that inherits, or is inherited from, fills its twin in neither.
_HINDRANCES = sa.text(
    _HANGING + " OR EXISTS (SELECT 1 FROM pg_trigger t "  # noqa: S608 - text of its own.
    "WHERE t.tgrelid = to_regclass(:table) "
    "AND NOT t.tgisinternal AND t.tgtype & 16 <> 0 AND t.tgname <> :trigger AND t.tgenabled IN ('O', 'A')) "
    "OR EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = to_regclass(:table) AND r.ev_type = '2') "
    "OR EXISTS (SELECT 1 FROM pg_inherits i WHERE to_regclass(:table) IN (i.inhrelid, i.inhparent)) "
    "OR EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_publication_tables t ON t.schemaname = n.nspname AND t.tablename = c.relname "
    "JOIN pg_publication p ON p.pubname = t.pubname AND p.pubupdate "
    "LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid WHERE c.oid = to_regclass(:table) "
    "AND (c.relreplident = 'n' OR c.relreplident = 'i' AND NOT EXISTS (SELECT 1 FROM pg_index i "
    "WHERE i.indrelid = c.oid AND i.indisreplident) OR to_jsonb(r) ->> 'prqual' IS NOT NULL "
    "OR to_jsonb(r) ->> 'prattrs' IS NOT NULL))"
)
_TRIGGER = sa.text("SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(:table) AND tgname = :name)")
_CHECK = sa.text("SELECT convalidated FROM pg_constraint WHERE conrelid = to_regclass(:table) AND conname = :name")
_IDENTITY = sa.text(
    "SELECT a.attidentity::text AS kind, pg_get_serial_sequence(:table, 'id') AS sequence FROM pg_attribute a "
    "WHERE a.attrelid = to_regclass(:table) AND a.attname = 'id'"
)
_KEY = sa.text("SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:table) AND contype = 'p'")


def can_swap(subject: Subject) -> bool:
    """Whether the id can change places with a twin, and nothing that the host has built on it is lost."""
    if subject.found.primary_key != ("id",) or not subject.found.columns["id"].numbers_itself:
        return False
    asked = {"table": subject.name, "check": _check(subject), "trigger": _function(subject)}
    if subject.connection.execute(_HINDRANCES, asked).scalar_one():
        return False
    return (ID_TWIN in subject.found.columns) is _has_trigger(subject)


def steps(subject: Subject) -> Iterator[Step]:
    """What is left to do, as the catalog tells."""
    declared = subject.connection.execute(_CHECK, {"table": subject.name, "name": _check(subject)}).scalar_one_or_none()
    if not _has_trigger(subject):
        yield _begin(subject)
    if declared is None:
        yield _fill(subject)
    for name, original in _twins(subject).items():
        yield from _build(subject, name, original)
    if not declared:
        statement = f"ALTER TABLE {subject.name} VALIDATE CONSTRAINT {_check(subject)}"
        yield _step(
            subject, "prove its values", Lock(subject.name, "SHARE UPDATE EXCLUSIVE", "nobody waits"), statement
        )
    yield _swap(subject)


def _step(subject: Subject, what: str, lock: Lock, *statements: str, style: Style = "transaction") -> Step:
    return Step(subject.name, f"a wider id: {what}", "integers", Verdict.HEAVY, statements, (lock,), style)


def _instant(subject: Subject) -> Lock:
    return Lock(subject.name, "ACCESS EXCLUSIVE", "everybody waits for an instant")


def _check(subject: Subject) -> str:
    return f"ck_{subject.name}_{ID_TWIN}"


def _function(subject: Subject) -> str:
    return f"{subject.name}_{ID_TWIN}"


def _has_trigger(subject: Subject) -> bool:
    asked = {"table": subject.name, "name": _function(subject)}
    return bool(subject.connection.execute(_TRIGGER, asked).scalar_one())


def _begin(subject: Subject) -> Step:
    name, table = _function(subject), subject.name
    return _step(
        subject,
        "make its place",
        _instant(subject),
        f"ALTER TABLE {table} ADD COLUMN {ID_TWIN} bigint",
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
        f"AS $$ BEGIN NEW.{ID_TWIN} := NEW.id; RETURN NEW; END $$",
        f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
    )


def _fill(subject: Subject) -> Step:
    """The CHECK comes in the same step, since it is what says that the rows are filled."""
    lock = Lock(subject.name, "ROW EXCLUSIVE", "writers of the same rows wait for an instant")
    table = subject.name
    return _step(
        subject,
        "fill it",
        lock,
        f"SELECT max(id) FROM (SELECT id FROM {table} WHERE id > :after ORDER BY id LIMIT {_ROWS}) AS page",  # noqa: S608 - one of our names.
        f"UPDATE {table} SET {ID_TWIN} = id WHERE id > :after AND id <= :last AND {ID_TWIN} IS NULL",  # noqa: S608 - the same.
        f"ALTER TABLE {table} ADD CONSTRAINT {_check(subject)} "
        f"CHECK ({ID_TWIN} IS NOT NULL AND {ID_TWIN} = id) NOT VALID",
        style="batches",
    )


def _twins(subject: Subject) -> dict[str, Index | None]:
    """The indexes that the twin needs: one for the primary key, and one for each that the id is in."""
    others = [index for index in subject.found.indexes if "id" in index.columns and index.name != _key(subject)]
    return {f"uq_{subject.name}_{ID_TWIN}": None} | {f"{index.name}_{ID_TWIN}"[-63:]: index for index in others}


def _key(subject: Subject) -> str:
    return str(subject.connection.execute(_KEY, {"table": subject.name}).scalar_one())


def _build(subject: Subject, name: str, original: Index | None) -> Iterator[Step]:
    found = next((index for index in subject.found.indexes if index.name == name), None)
    if found is not None and found.flaw is None:
        return
    if found is not None:
        statement = f"REINDEX INDEX CONCURRENTLY {subject.quote(name)}"
    else:
        columns = ("id",) if original is None else original.columns
        over = ", ".join(ID_TWIN if column == "id" else subject.quote(column) for column in columns)
        unique = "UNIQUE " if original is None or original.unique else ""
        method = "" if original is None or original.method == "btree" else f"USING {original.method} "
        statement = f"CREATE {unique}INDEX CONCURRENTLY {subject.quote(name)} ON {subject.name} {method}({over})"
    lock = Lock(subject.name, "SHARE UPDATE EXCLUSIVE", "nobody waits")
    yield _step(subject, f"index {name}", lock, statement, style="concurrently")


def _swap(subject: Subject) -> Step:
    """The CHECK has proven that no row has another value or none, so dropping the narrow column loses nothing."""
    table, key = subject.name, subject.quote(_key(subject))
    renamed = (
        f"ALTER INDEX {subject.quote(name)} RENAME TO {subject.quote(original.name)}"
        for name, original in _twins(subject).items()
        if original is not None
    )
    return _step(
        subject,
        "change places",
        _instant(subject),
        f"DROP TRIGGER {_function(subject)} ON {table}",
        f"DROP FUNCTION {_function(subject)}()",
        f"ALTER TABLE {table} ALTER COLUMN {ID_TWIN} SET NOT NULL",
        *_numbered(subject),
        f"ALTER TABLE {table} DROP COLUMN id",
        f"ALTER TABLE {table} RENAME COLUMN {ID_TWIN} TO id",
        f"ALTER TABLE {table} ADD CONSTRAINT {key} PRIMARY KEY USING INDEX uq_{table}_{ID_TWIN}",
        *renamed,
    )


def _numbered(subject: Subject) -> Iterator[str]:
    """Let the twin be numbered from where the id is, by the same sequence or by an identity of its own."""
    table = subject.name
    identity = subject.connection.execute(_IDENTITY, {"table": table}).one()
    if identity.kind:
        when = "ALWAYS" if identity.kind == "a" else "BY DEFAULT"
        yield f"ALTER TABLE {table} ALTER COLUMN {ID_TWIN} ADD GENERATED {when} AS IDENTITY"
        new, old = f"pg_get_serial_sequence('{table}', '{ID_TWIN}')", identity.sequence
        yield f"SELECT setval({new}, last_value, is_called) FROM {old}"  # noqa: S608 - names out of the catalog.
        return
    yield f"ALTER TABLE {table} ALTER COLUMN {ID_TWIN} SET DEFAULT {subject.found.columns['id'].default}"
    if identity.sequence:
        yield f"ALTER SEQUENCE {identity.sequence} AS bigint OWNED BY {table}.{ID_TWIN}"
