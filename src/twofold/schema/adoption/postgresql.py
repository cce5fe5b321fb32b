"""How PostgreSQL is repaired beside running logins.

No step holds a lock that stops logins for longer than an instant, save for those that say so: what has to read a
table reads it under a lock that lets writers go on, and what needs a strong lock is done at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.schema.adoption import postgresql_ids, preflight
from twofold.schema.conformity.findings import Verdict
from twofold.schema.plan.plan import Change, Lock, Step, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.schema.catalog.relation import ForeignKey, Index
    from twofold.schema.plan.plan import Subject

_UTC = "SET LOCAL timezone = 'UTC'"
_CHECK = sa.text("SELECT convalidated FROM pg_constraint WHERE conrelid = to_regclass(:table) AND conname = :name")
_TAKEN = sa.text(
    "SELECT other.relname::text FROM pg_class c JOIN pg_class other ON other.relnamespace = c.relnamespace "
    "WHERE c.oid = to_regclass(:table) AND starts_with(other.relname::text, :name)"
)
_SEQUENCE = sa.text(
    "SELECT s.oid::regclass::text FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' "
    "JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid "
    "WHERE d.refobjid = to_regclass(:table) AND a.attname = :column AND d.deptype = 'a'"
)


def steps(subject: Subject) -> Iterator[Step]:
    """Everything that one table needs, in the order of doing: columns first, then what is built on them."""
    yield from _columns(subject)
    yield from _types(subject)
    yield from _nullability(subject)
    yield from _keys(subject)
    yield from _foreign_key(subject)


def _instant(subject: Subject) -> Lock:
    return Lock(subject.name, "ACCESS EXCLUSIVE", "everybody waits for an instant")


def _alter(subject: Subject, change: str) -> str:
    return f"ALTER TABLE {subject.name} {change}"


def _columns(subject: Subject) -> Iterator[Step]:
    """All of them in one statement, since one lock for an instant disturbs less than ten."""
    added, filled = subject.of("column"), subject.of("default")
    changes = [f"ADD COLUMN {subject.definition(finding.subject)}" for finding in added]
    changes += [f"ALTER COLUMN {one.subject} SET DEFAULT {subject.default(one.subject)}" for one in filled]
    if changes:
        what, statements = subject.listed(*added, *filled), (_alter(subject, ", ".join(changes)),)
        changed = subject.added(*added)
        yield Step(subject.name, what, "column", Verdict.ADDITIVE, statements, (_instant(subject),), changes=changed)


def _types(subject: Subject) -> Iterator[Step]:
    """All columns of a kind in one statement, since a table that is rewritten is rewritten once."""
    longer = tuple(finding.subject for finding in subject.of("type", verdict=Verdict.ADDITIVE))
    heavy = tuple(finding.subject for finding in subject.of("type", verdict=Verdict.HEAVY))
    moments = tuple(name for name in heavy if subject.found.columns[name].type.family == "moment")
    # A table that is rewritten for its user_id is not copied a second time for its id.
    can_swap = "id" in heavy and "user_id" not in heavy and postgresql_ids.can_swap(subject)
    numbers = tuple(name for name in heavy if name not in moments and not (can_swap and name == "id"))
    for names, kind in ((longer, "length"), (moments, "timestamps"), (numbers, "integers")):
        if not names:
            continue
        yield _retyped(subject, f"{kind} of {', '.join(names)}", kind, names)
    if can_swap:
        yield from postgresql_ids.steps(subject)


def _retyped(subject: Subject, what: str, kind: str, names: tuple[str, ...]) -> Step:
    changes = ", ".join(f"ALTER COLUMN {name} TYPE {subject.type_(name)}" for name in names)
    statement = _alter(subject, changes)
    retyped = (Change("retype", names),)
    if kind == "length":
        return Step(subject.name, what, kind, Verdict.ADDITIVE, (statement,), (_instant(subject),), changes=retyped)
    is_indexed = any(set(index.columns) & set(names) for index in subject.found.indexes)
    lock = Lock(subject.name, "ACCESS EXCLUSIVE", "everybody waits")
    if kind == "integers":
        sequences = tuple(
            f"ALTER SEQUENCE {sequence} AS bigint"
            for name in names
            for sequence in subject.connection.execute(_SEQUENCE, {"table": subject.name, "column": name}).scalars()
        )
        return Step(subject.name, what, kind, Verdict.HEAVY, (statement, *sequences), (lock,), changes=retyped)
    # With the session in UTC the rows stay as they are and only indexes are built anew; USING would rewrite them.
    naive = any(not subject.found.columns[name].type.zoned for name in names)
    is_dated = naive and "created_at" in subject.found.columns
    asked = (preflight.future(subject),) if is_dated else ()
    lock = lock if is_indexed else _instant(subject)
    return Step(subject.name, what, kind, Verdict.HEAVY, (_UTC, statement), (lock,), probes=asked, changes=retyped)


def _nullability(subject: Subject) -> Iterator[Step]:
    optional = subject.of("nullability", verdict=Verdict.ADDITIVE)
    if optional:
        change = ", ".join(f"ALTER COLUMN {finding.subject} DROP NOT NULL" for finding in optional)
        what, statements = subject.listed(*optional), (_alter(subject, change),)
        changed = (Change("release", tuple(finding.subject for finding in optional)),)
        yield Step(subject.name, what, "null", Verdict.ADDITIVE, statements, (_instant(subject),), changes=changed)
    if required := subject.of("nullability", verdict=Verdict.HEAVY):
        yield from _not_null(subject, tuple(finding.subject for finding in required))


def _not_null(subject: Subject, names: tuple[str, ...]) -> Iterator[Step]:
    """A CHECK that was validated beside running writers proves to SET NOT NULL that it need not look."""
    checks = {name: f"ck_{subject.name}_{name}_not_null"[:63] for name in names}
    there = {
        name: subject.connection.execute(_CHECK, {"table": subject.name, "name": check}).scalar_one_or_none()
        for name, check in checks.items()
    }
    what, asked = f"NOT NULL of {', '.join(names)}", tuple(preflight.nulls(subject, name) for name in names)

    def step(part: str, *statements: str, lock: Lock) -> Step:
        return Step(subject.name, f"{what}: {part}", "not-null", Verdict.HEAVY, statements, (lock,), probes=asked)

    undeclared = [name for name in names if there[name] is None]
    if undeclared:
        added = (f"ADD CONSTRAINT {checks[name]} CHECK ({name} IS NOT NULL) NOT VALID" for name in undeclared)
        yield step("declare", _alter(subject, ", ".join(added)), lock=_instant(subject))
    if unproven := [name for name in names if not there[name]]:
        validated = ", ".join(f"VALIDATE CONSTRAINT {checks[name]}" for name in unproven)
        yield step(
            "check", _alter(subject, validated), lock=Lock(subject.name, "SHARE UPDATE EXCLUSIVE", "nobody waits")
        )
    required = _alter(subject, ", ".join(f"ALTER COLUMN {name} SET NOT NULL" for name in names))
    dropped = _alter(subject, ", ".join(f"DROP CONSTRAINT {check}" for check in checks.values()))
    yield step("require", required, dropped, lock=_instant(subject))


def _free(subject: Subject, name: str) -> str:
    """Names of indexes are shared by all that a schema holds, and other tables may bear what the revision would."""
    taken = set(subject.connection.execute(_TAKEN, {"table": subject.name, "name": name}).scalars())
    return subject.free(name, taken)


def _keys(subject: Subject) -> Iterator[Step]:
    lock = Lock(subject.name, "SHARE UPDATE EXCLUSIVE", "nobody waits")
    findings = subject.of("unique", "index")
    if findings:
        yield from _leftovers(subject, lock)
    for finding in findings:
        columns, is_unique = columns_of(finding), finding.aspect == "unique"
        asked = preflight.duplicates(subject, columns) if is_unique else ()
        named, method = subject.named(columns)
        broken = _broken(subject, columns, method, is_unique=is_unique)
        if broken is not None:
            statements: tuple[str, ...] = (f"REINDEX INDEX CONCURRENTLY {subject.quote(broken.name)}",)
        else:
            statements = _built(subject, _free(subject, named), columns, method, is_unique=is_unique)
        kind = "unique" if is_unique else "index"
        yield Step(
            subject.name, finding.what, kind, Verdict.ADDITIVE, statements, (lock,), style="concurrently", probes=asked
        )


def _built(subject: Subject, name: str, columns: tuple[str, ...], method: str, *, is_unique: bool) -> tuple[str, ...]:
    over = f"{subject.name} {'' if method == 'btree' else f'USING {method} '}({', '.join(columns)})"
    if not is_unique:
        return (f"CREATE INDEX CONCURRENTLY {name} ON {over}",)
    build = f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {over}"
    return build, _alter(subject, f"ADD CONSTRAINT {name} UNIQUE USING INDEX {name}")


def _broken(subject: Subject, columns: tuple[str, ...], method: str, *, is_unique: bool) -> Index | None:
    """What an interrupted CREATE INDEX CONCURRENTLY left: IF NOT EXISTS would take it for the real thing."""
    for index in subject.found.indexes:
        is_alike = index.columns == columns and index.unique is is_unique and index.method == method
        if index.flaw == "INVALID" and is_alike and not _is_transient(index):
            return index
    return None


def _is_transient(index: Index) -> bool:
    return index.flaw == "INVALID" and index.name.rstrip("0123456789").endswith(("_ccnew", "_ccold"))


def _leftovers(subject: Subject, lock: Lock) -> Iterator[Step]:
    """What an interrupted REINDEX CONCURRENTLY left beside the index; it has never served anybody."""
    for index in subject.found.indexes:
        if _is_transient(index):
            statements = (f"DROP INDEX CONCURRENTLY {subject.quote(index.name)}",)
            what = f"unfinished copy {index.name}"
            yield Step(subject.name, what, "index", Verdict.ADDITIVE, statements, (lock,), style="concurrently")


def _foreign_key(subject: Subject) -> Iterator[Step]:
    """The new key is there and proven before the old one goes; as long as both are, the stricter one wins."""
    findings = subject.of("foreign key")
    if not findings:
        return
    ours = [key for key in subject.found.foreign_keys if key.columns == ("user_id",)]
    cascading = [key for key in ours if key.on_delete == "CASCADE"]
    valid = [key for key in cascading if key.flaw is None]
    unproven = [key for key in cascading if key.flaw == "NOT VALID"]
    what, asked = findings[0].what, (preflight.orphans(subject),)
    if not valid:
        name = unproven[0].name if unproven else subject.free(f"fk_{subject.name}_user_id_cascade")
        if not unproven:
            yield _declared(subject, f"{what}: declare", name)
        validate = (_alter(subject, f"VALIDATE CONSTRAINT {subject.quote(name)}"),)
        locks = (
            Lock(subject.name, "SHARE UPDATE EXCLUSIVE", "nobody waits"),
            Lock(str(subject.users.table_key), "ROW SHARE", "nobody waits"),
        )
        check = f"{what}: check"
        yield Step(subject.name, check, "foreign-key", Verdict.ADDITIVE, validate, locks, probes=asked)
    for key in ours:
        if key.on_delete != "CASCADE":
            yield _dropped(subject, f"{what}: drop the replaced {key.name}", key)


def _declared(subject: Subject, what: str, name: str) -> Step:
    change = f"ADD CONSTRAINT {name} FOREIGN KEY (user_id) REFERENCES {subject.reference} NOT VALID"
    mode = "SHARE ROW EXCLUSIVE"
    locks = (
        Lock(subject.name, mode, "writers wait for an instant"),
        Lock(subject.users.table_key, mode, "writers wait for an instant"),
    )
    asked = (preflight.orphans(subject),)
    return Step(subject.name, what, "foreign-key", Verdict.ADDITIVE, (_alter(subject, change),), locks, probes=asked)


def _dropped(subject: Subject, what: str, key: ForeignKey) -> Step:
    statements = (_alter(subject, f"DROP CONSTRAINT {subject.quote(key.name)}"),)
    locks = (_instant(subject), Lock(subject.users.table_key, "ACCESS EXCLUSIVE", "everybody waits for an instant"))
    return Step(subject.name, what, "foreign-key", Verdict.ADDITIVE, statements, locks)
