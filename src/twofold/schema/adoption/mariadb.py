"""How MariaDB is repaired: every ALTER says how it may be done, so that the server refuses rather than copies quietly.

Its DDL knows no transactions, so every step is one statement, which happens whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.schema.adoption import preflight
from twofold.schema.adoption.modify_mariadb import UTF8, Columns
from twofold.schema.adoption.online_mariadb import copies, is_copied_to_lengthen
from twofold.schema.conformity.findings import Verdict
from twofold.schema.plan.plan import Change, Lock, Step, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.schema.adoption.online_mariadb import Copies
    from twofold.schema.plan.plan import Probe, Subject

ONLINE = ("ALGORITHM=INSTANT, LOCK=NONE", "ALGORITHM=NOCOPY, LOCK=NONE", "ALGORITHM=INPLACE, LOCK=NONE")
COPY = "ALGORITHM=COPY, LOCK=SHARED"
_TEXT = 65_535
_CHARSET = sa.text(
    "SELECT table_collation FROM information_schema.tables WHERE table_schema = database() AND table_name = :table"
)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one kind of heavy change adds to the one copy that a table is given."""

    kind: str
    what: str
    change: str
    changes: tuple[Change, ...] = ()
    asked: tuple[Probe, ...] = ()
    users: bool = False


def steps(subject: Subject) -> Iterator[Step]:
    """Everything that one table needs, in the order of doing: columns first, then what is built on them.

    A table is copied once, whatever there is to do by a copy. What replaces its foreign key comes before NOT NULL,
    since a key that sets its column to NULL forbids that.
    """
    there, columns = copies(subject), Columns(subject)
    yield from _columns(subject, there, columns)
    yield from _types(subject, there, columns)
    if parts := (*_copied_types(subject, there, columns), *_new_foreign_key(subject)):
        yield _copied(subject, parts)
    yield from _dropped_foreign_keys(subject)
    yield from _nullability(subject, there, columns)
    yield from _keys(subject, there)


def _online(subject: Subject, what: str, kind: str, change: str, *asked: Probe, first: int = 0) -> Step:
    """One change without a copy, in the cheapest way that the server agrees to, from the `first` on."""
    ways = tuple(f"ALTER TABLE {subject.name} {change}, {way}" for way in (*ONLINE[first:], COPY))
    lock = Lock(subject.name, "metadata lock", "everybody waits for an instant")
    verdict = Verdict.ADDITIVE
    return Step(subject.name, what, kind, verdict, ways[:1], (lock,), "online", asked, alternatives=ways[1:])


def _may_copy(step: Step, *, copied: bool) -> Step:
    """The same step, heavy where the server will ask for a copy after it was asked for less."""
    if not copied:
        return step
    lock = Lock(step.table, "LOCK=SHARED", "writers wait")
    kind = "copy" if step.verdict is Verdict.ADDITIVE else step.kind
    return replace(step, kind=kind, verdict=Verdict.HEAVY, locks=(lock,))


def _copied(subject: Subject, parts: tuple[_Part, ...]) -> Step:
    """All parts in one ALTER, which needs the leave of each of them."""
    locks = [Lock(subject.name, "LOCK=SHARED", "writers wait")]
    if any(part.users for part in parts):
        locks.append(list(_instants(subject))[1])
    statement = f"ALTER TABLE {subject.name} {', '.join(part.change for part in parts)}, {COPY}"
    kind, *also = dict.fromkeys(part.kind for part in parts)
    what = "; ".join(part.what for part in parts)
    asked = tuple(probe for part in parts for probe in part.asked)
    changes = tuple(change for part in parts for change in part.changes)
    verdict = Verdict.HEAVY
    return Step(
        subject.name, what, kind, verdict, (statement,), tuple(locks), "online", asked, (), changes, tuple(also)
    )


def _columns(subject: Subject, there: Copies, columns: Columns) -> Iterator[Step]:
    added, filled = subject.of("column"), subject.of("default")
    changes = [f"ADD COLUMN {_with_charset(subject, finding.subject)}" for finding in added]
    changes += [columns.defaulted(one.subject, subject.default(one.subject)) for one in filled]
    if changes:
        step = _online(subject, subject.listed(*added, *filled), "column", ", ".join(changes))
        step = replace(step, changes=subject.added(*added))
        yield _may_copy(step, copied=there.always or (there.to_add and bool(added)))


def _with_charset(subject: Subject, column: str) -> str:
    """A column takes the character set of its table, which on tables of other origins may hold no emoji."""
    definition = subject.definition(column)
    inherited = str(subject.connection.execute(_CHARSET, {"table": subject.name}).scalar_one())
    if inherited.startswith(UTF8) or not isinstance(subject.expected.c[column].type, sa.String):
        return definition
    type_ = subject.type_(column)
    return definition.replace(type_, f"{type_} CHARACTER SET {UTF8}", 1)


def _longer(subject: Subject, there: Copies, *, copied: bool) -> tuple[str, ...]:
    """Strings that are made longer, by a copy or without one."""
    names = (finding.subject for finding in subject.of("type", verdict=Verdict.ADDITIVE))
    return tuple(name for name in names if (there.always or is_copied_to_lengthen(subject, name)) is copied)


def _types(subject: Subject, there: Copies, columns: Columns) -> Iterator[Step]:
    if names := _longer(subject, there, copied=False):
        change = ", ".join(columns.retyped(name, subject.type_(name)) for name in names)
        step = _online(subject, f"type {', '.join(names)}", "length", change)
        yield replace(step, changes=(Change("retype", names),))


def _copied_types(subject: Subject, there: Copies, columns: Columns) -> Iterator[_Part]:
    heavy = tuple(finding.subject for finding in subject.of("type", verdict=Verdict.HEAVY))
    families = {"moment": "timestamps", "integer": "integers", "string": "character-set"}
    of_kind = {
        kind: tuple(name for name in heavy if subject.found.columns[name].type.family == family)
        for family, kind in families.items()
    }
    for kind, names in (of_kind | {"copy": _longer(subject, there, copied=True)}).items():
        if names:
            change = ", ".join(columns.retyped(name, _wanted(subject, name)) for name in names)
            what = "type" if kind == "copy" else f"{kind} of"
            yield _Part(kind, f"{what} {', '.join(names)}", change, (Change("retype", names),))


def _wanted(subject: Subject, column: str) -> str:
    """The revision's type, unless the live one holds more already and only the character set is to change."""
    live, type_ = subject.found.columns[column].type, subject.type_(column)
    wanted = subject.expected.c[column].type
    if live.family == "string" and (live.size or 0) > (getattr(wanted, "length", None) or _TEXT):
        return live.text.partition(" character set ")[0]
    return type_


def _nullability(subject: Subject, there: Copies, columns: Columns) -> Iterator[Step]:
    if optional := subject.of("nullability", verdict=Verdict.ADDITIVE):
        changes = (columns.nullable(finding.subject, is_nullable=True) for finding in optional)
        step = _online(subject, subject.listed(*optional), "null", ", ".join(changes))
        step = replace(step, changes=(Change("release", tuple(finding.subject for finding in optional)),))
        yield _may_copy(step, copied=there.to_require)
    if required := subject.of("nullability", verdict=Verdict.HEAVY):
        change = ", ".join(columns.nullable(finding.subject, is_nullable=False) for finding in required)
        ways = tuple(f"ALTER TABLE {subject.name} {change}, {way}" for way in (ONLINE[-1], COPY))
        lock = Lock(subject.name, "metadata lock", "everybody waits for an instant")
        asked = tuple(preflight.nulls(subject, finding.subject) for finding in required)
        what, verdict = subject.listed(*required), Verdict.HEAVY
        filled = (Change("require", tuple(finding.subject for finding in required)),)
        step = Step(subject.name, what, "not-null", verdict, ways[:1], (lock,), "online", asked, ways[1:], filled)
        yield _may_copy(step, copied=there.to_require)


def _keys(subject: Subject, there: Copies) -> Iterator[Step]:
    for finding in subject.of("unique", "index"):
        columns, is_unique = columns_of(finding), finding.aspect == "unique"
        ignored = next(
            (index for index in subject.found.indexes if index.columns == columns and index.flaw == "ignored"), None
        )
        if ignored is not None and ignored.unique is is_unique:
            change, first = f"ALTER INDEX {subject.quote(ignored.name)} NOT IGNORED", 0
        else:
            name = subject.free(subject.named(columns)[0])
            unique = "UNIQUE " if is_unique else ""
            change, first = f"ADD {unique}INDEX {name} ({', '.join(columns)})", 1
        asked = preflight.duplicates(subject, columns) if is_unique else ()
        step = _online(subject, finding.what, "unique" if is_unique else "index", change, *asked, first=first)
        step = replace(step, changes=(Change("unique", columns),) if is_unique else ())
        yield _may_copy(step, copied=there.always)


def _replaced(subject: Subject) -> tuple[list[str], bool]:
    """How those foreign keys of `user_id` go that are not the revision's, and whether one stays that is."""
    ours = [key for key in subject.found.foreign_keys if key.columns == ("user_id",)]
    gone = [f"DROP FOREIGN KEY {subject.quote(key.name)}" for key in ours if key.on_delete != "CASCADE"]
    return gone, any(key.on_delete == "CASCADE" for key in ours)


def _new_foreign_key(subject: Subject) -> Iterator[_Part]:
    """One ALTER drops the old key and adds the new one. With checks off it would be instant, and accept orphans."""
    findings = subject.of("foreign key")
    gone, stays = _replaced(subject)
    if findings and not stays:
        name = subject.free(f"fk_{subject.name}_user_id_cascade")
        added = f"ADD CONSTRAINT {name} FOREIGN KEY (user_id) REFERENCES {subject.reference}"
        asked = (preflight.orphans(subject),)
        yield _Part("foreign-keys", findings[0].what, ", ".join([*gone, added]), asked=asked, users=True)


def _dropped_foreign_keys(subject: Subject) -> Iterator[Step]:
    findings = subject.of("foreign key")
    gone, stays = _replaced(subject)
    if findings and stays:
        ways = tuple(f"ALTER TABLE {subject.name} {', '.join(gone)}, {way}" for way in (*ONLINE, COPY))
        locks = tuple(_instants(subject))
        what, verdict = findings[0].what, Verdict.HEAVY
        yield Step(subject.name, what, "foreign-keys", verdict, ways[:1], locks, "online", alternatives=ways[1:])


def _instants(subject: Subject) -> Iterator[Lock]:
    for table in (subject.name, subject.users.table_key):
        yield Lock(table, "metadata lock", "everybody waits for an instant")
