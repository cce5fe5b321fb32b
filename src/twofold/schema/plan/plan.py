"""What an adoption would do: steps that can be taken, and what keeps them from being taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from twofold.schema.conformity.findings import Finding, Report, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from twofold.metadata import UsersColumn
    from twofold.schema.catalog.relation import Relation
    from twofold.schema.history import History

HEAVY = {
    "timestamps": "turn moments without a zone, or without fractions of a second, into UTC to the microsecond",
    "integers": "widen INT to BIGINT; PostgreSQL fills a wider id batch by batch, everything else rewrites the table",
    "not-null": "forbid NULL where no row has one; reads the table",
    "foreign-keys": "give MariaDB's user_id its foreign key; copies the table, logins can read and not write",
    "character-set": "turn MariaDB's strings into utf8mb4; copies the table, logins can read and not write",
    "rebuild": "make a SQLite table anew with all its rows; writers wait",
    "copy": "let MariaDB copy a table where it refuses to change it online",
}
"""The kinds of heavy steps, by the names that `--allow` takes."""

Style = Literal["transaction", "batches", "concurrently", "rebuild", "online"]


@dataclass(frozen=True, slots=True)
class Lock:
    """What a step locks, and what has to wait for it."""

    table: str
    mode: str
    waits: Literal[
        "nobody waits",
        "writers wait",
        "everybody waits for an instant",
        "everybody waits",
        "writers wait for an instant",
        "writers of the same rows wait for an instant",
    ]

    def __str__(self) -> str:
        return f"{self.mode} on {self.table} ({self.waits})"


@dataclass(frozen=True, slots=True)
class Probe:
    """A query for rows that make a step impossible. `query` shows all of them, `bounded` finds out if there is one."""

    problem: str
    query: str
    bounded: str


Act = Literal["retype", "add", "fill", "require", "release", "unique", "create"]


@dataclass(frozen=True, slots=True)
class Change:
    """What a step does to what stands there, and so to what hangs on it.

    Columns get another type; are added, without a value or with one for every row; have to be filled from now on, or
    need not be any longer; are unique together. A table is created, whose name is the first, before those of its keys
    and indexes.
    """

    act: Act
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One change, whole or not at all. Once it is done the catalog says so, and it is not planned again.

    `style` says how it runs: in a transaction; in one for each batch of rows, where the first statement finds the last
    row of a batch, the second changes the batch, and the others follow once; outside of a transaction, as CREATE INDEX
    CONCURRENTLY wants it; as a rebuild of a SQLite table; or as one online ALTER of MariaDB, for which `alternatives`
    are tried where the server refuses. `changes` say in structure what the statements do, and `also` which
    other kinds are done by the same statement.
    """

    table: str
    what: str
    kind: str
    verdict: Verdict
    statements: tuple[str, ...]
    locks: tuple[Lock, ...] = ()
    style: Style = "transaction"
    probes: tuple[Probe, ...] = ()
    alternatives: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds that it takes leave for, where it is heavy: one, or several that one copy of a table does."""
        return (self.kind, *self.also)

    def __str__(self) -> str:
        return f"{self.table}: {self.what}"


@dataclass(frozen=True, slots=True)
class Blocker:
    """What a person has to decide before anything is changed; `query` shows the rows, where rows are the reason."""

    table: str
    what: str
    problem: str
    remedy: str
    query: str | None = None

    def __str__(self) -> str:
        shown = f" See: {self.query}" if self.query else ""
        return f"{self.table}: {self.what}: {self.problem}. {self.remedy}{shown}"


@dataclass(frozen=True, slots=True)
class Mention:
    """Something of the host's whose text names a table that is to be changed: a function, a trigger of another table.

    Whether it uses the table, and gets along with the change, only its author knows.
    """

    table: str
    name: str

    def __str__(self) -> str:
        return f"{self.table}: {self.name}: its text names the table"


@dataclass(frozen=True, slots=True)
class Size:
    """How big a table is, as far as the catalog knows: `rows` may be an estimate."""

    rows: int | None
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that lies between a database and the revision of a history. Recomputed from the catalog, so never stored.

    `recorded` is the revision in its version table; `elsewhere` are revisions of it that stand in the host's own
    version table. `records` is False where the host's own history has the tables, and nothing is to be recorded.
    `legacy_rows` are the users whose rows are of before Twofold; they are brought along after the structure.
    What is `mentioned` keeps nothing from being done.
    """

    report: Report
    steps: tuple[Step, ...]
    blocked: tuple[Blocker, ...]
    sizes: Mapping[str, Size]
    recorded: str | None
    elsewhere: tuple[str, ...]
    allowed: frozenset[str]
    records: bool = True
    legacy_rows: int = 0
    mentioned: tuple[Mention, ...] = ()

    @property
    def history(self) -> History:
        """The history to whose revision it leads."""
        return self.report.history

    @property
    def refused(self) -> tuple[Step, ...]:
        """The heavy steps of which `--allow` does not name every kind."""
        heavy = (step for step in self.steps if step.verdict is Verdict.HEAVY)
        return tuple(step for step in heavy if not self.allowed.issuperset(step.kinds))

    @property
    def is_recorded(self) -> bool:
        """The revision is recorded where it belongs, and nowhere else."""
        return not self.records or (self.recorded == self.history.revision and not self.elsewhere)

    @property
    def is_for_upgrade(self) -> bool:
        """The database is empty, and the ordinary upgrade makes the tables, with users of their own."""
        return self.report.nothing_there and not self.steps and not self.blocked

    @property
    def is_done(self) -> bool:
        """Nothing is left to do."""
        return not (self.steps or self.blocked) and self.report.conforms and self.is_recorded

    @property
    def verdict(self) -> Literal["conforms", "pending", "blocked"]:
        """The plan in one word."""
        return "blocked" if self.blocked else "conforms" if self.is_done else "pending"

    def carried_out(self, report: Report, legacy_rows: int) -> Plan:
        """The plan that is left when every step of this one was taken, and the revision recorded where it is to be."""
        recorded = self.history.revision if self.records else self.recorded
        return replace(
            self,
            report=report,
            steps=(),
            blocked=(),
            recorded=recorded,
            elsewhere=(),
            legacy_rows=legacy_rows,
            mentioned=(),
        )


@dataclass(frozen=True)
class Subject:
    """One table that is to be repaired: what it has to be, what it is, and what it refers to."""

    connection: sa.Connection
    expected: sa.Table
    found: Relation
    users: UsersColumn
    drift: tuple[Finding, ...]

    @property
    def name(self) -> str:
        """The name of the table, which needs no quotes."""
        return self.expected.name

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect of the database."""
        return self.connection.dialect

    def quote(self, name: str) -> str:
        """A name as SQL has it."""
        return self.dialect.identifier_preparer.quote(name)

    @property
    def users_table(self) -> str:
        """The users table as SQL has it."""
        names = filter(None, (self.users.schema, self.users.table))
        return ".".join(self.quote(name) for name in names)

    @property
    def reference(self) -> str:
        """What follows REFERENCES."""
        return f"{self.users_table} ({self.quote(self.users.column)}) ON DELETE CASCADE"

    def of(self, *aspects: str, verdict: Verdict | None = None) -> tuple[Finding, ...]:
        """The repairable findings of some aspects."""
        wanted = {verdict} if verdict else {Verdict.ADDITIVE, Verdict.HEAVY}
        return tuple(one for one in self.drift if one.aspect in aspects and one.verdict in wanted)

    def listed(self, *findings: Finding) -> str:
        """Several findings as one thing to do: `column seq, mac; default digits`."""
        by_aspect: dict[str, list[str]] = {}
        for finding in findings:
            by_aspect.setdefault(finding.aspect, []).append(finding.subject)
        return "; ".join(f"{aspect} {', '.join(subjects)}" for aspect, subjects in by_aspect.items())

    def definition(self, column: str) -> str:
        """A column as CREATE TABLE has it."""
        return str(sa.schema.CreateColumn(self.expected.c[column]).compile(dialect=self.dialect)).strip()

    def type_(self, column: str) -> str:
        """The type of a column as the revision has it."""
        return self.expected.c[column].type.compile(dialect=self.dialect)

    def default(self, column: str) -> str:
        """The default of a column as the revision has it."""
        compiler = self.dialect.ddl_compiler(self.dialect, sa.schema.CreateTable(self.expected))
        return str(compiler.get_column_default_string(self.expected.c[column]))

    def named(self, columns: tuple[str, ...]) -> tuple[str, str]:
        """The revision's name and method for an index or a unique constraint over these columns."""
        for constraint in self.expected.constraints:
            if isinstance(constraint, sa.UniqueConstraint) and tuple(constraint.columns.keys()) == columns:
                return str(constraint.name), "btree"
        for index in self.expected.indexes:
            if tuple(column.name for column in index.columns) == columns:
                return str(index.name), str(index.dialect_options["postgresql"].get("using") or "btree")
        return f"ix_{self.name}_{'_'.join(columns)}", "btree"

    def added(self, *findings: Finding) -> tuple[Change, ...]:
        """Columns that are added, apart by whether the rows that are there get a value in them."""
        names = tuple(finding.subject for finding in findings)
        filled = tuple(name for name in names if self.expected.c[name].server_default is not None)
        plain = tuple(name for name in names if name not in filled)
        return tuple(one for one in (Change("add", plain), Change("fill", filled)) if one.names)

    def free(self, name: str, elsewhere: Collection[str] = ()) -> str:
        """The name itself, or with a number behind it where something of the table, or `elsewhere`, bears it."""
        taken = {index.name for index in self.found.indexes} | {key.name for key in self.found.foreign_keys}
        taken |= set(elsewhere)
        number = 2
        free = name
        while free in taken:
            free = f"{name}_{number}"
            number += 1
        return free


def columns_of(finding: Finding) -> tuple[str, ...]:
    """The columns of a finding about a key or an index: `(user_id, seq)`."""
    return tuple(finding.subject.strip("()").split(", "))
