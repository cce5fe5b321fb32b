"""Ways in which tables of other origins differ from the revision, each made by SQL on a conforming database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import sqlalchemy as sa

from twofold.schema.conformity.findings import Verdict

if TYPE_CHECKING:
    from twofold.schema.conformity.findings import Aspect


@dataclass(frozen=True)
class Drift:
    """`statements` make it, or `rewrite` of a piece of a SQLite table's own DDL; the verifier has to see it."""

    backend: str
    name: str
    table: str
    sees: tuple[Aspect, str, Verdict]
    statements: tuple[str, ...] = ()
    rewrite: tuple[str, str] | None = None

    def make(self, connection: sa.Connection) -> None:
        """Bring it about."""
        for statement in self.statements:
            connection.exec_driver_sql(statement)
        if self.rewrite is not None:
            self._rewrite(connection, *self.rewrite)
        connection.commit()

    def _rewrite(self, connection: sa.Connection, old: str, new: str) -> None:
        rows = connection.execute(
            sa.text(
                "SELECT type, sql FROM sqlite_master WHERE tbl_name = :name AND sql IS NOT NULL ORDER BY type DESC"
            ),
            {"name": self.table},
        ).all()
        connection.exec_driver_sql(f"DROP TABLE {self.table}")
        assert any(old in sql for _, sql in rows), f"{old!r} is not in the table's DDL"
        for _, sql in rows:
            connection.exec_driver_sql(sql.replace(old, new))


_SECRETS, _CODES, _DEVICES, _EVENTS = "user_mfa_secrets", "mfa_backup_codes", "mfa_device_trusts", "mfa_events"
_T, _A, _H, _B = Verdict.TOLERATED, Verdict.ADDITIVE, Verdict.HEAVY, Verdict.BLOCKED
_FK = f"{_CODES}_user_id_fkey"
_REFERENCE = f"ALTER TABLE {_CODES} ADD FOREIGN KEY (user_id) REFERENCES users (id)"


def _postgresql(name: str, table: str, sees: tuple[Aspect, str, Verdict], *statements: str) -> Drift:
    return Drift("postgresql", name, table, sees, statements)


def _mariadb(name: str, table: str, sees: tuple[Aspect, str, Verdict], *statements: str) -> Drift:
    return Drift("mariadb", name, table, sees, statements)


def _sqlite(name: str, table: str, sees: tuple[Aspect, str, Verdict], old: str, new: str) -> Drift:
    return Drift("sqlite", name, table, sees, rewrite=(old, new))


def _alter(table: str, *changes: str) -> tuple[str, ...]:
    return tuple(f"ALTER TABLE {table} {change}" for change in changes)


POSTGRESQL = (
    _postgresql(
        "naive timestamps", _EVENTS, ("type", "created_at", _H), *_alter(_EVENTS, "ALTER created_at TYPE timestamp")
    ),
    _postgresql(
        "whole seconds", _EVENTS, ("type", "created_at", _H), *_alter(_EVENTS, "ALTER created_at TYPE timestamptz(0)")
    ),
    _postgresql("small ids", _EVENTS, ("type", "id", _H), *_alter(_EVENTS, "ALTER id TYPE integer")),
    _postgresql(
        "short strings", _DEVICES, ("type", "trust_token", _A), *_alter(_DEVICES, "ALTER trust_token TYPE varchar(64)")
    ),
    _postgresql(
        "long strings", _DEVICES, ("type", "trust_token", _T), *_alter(_DEVICES, "ALTER trust_token TYPE text")
    ),
    _postgresql(
        "numbers for booleans",
        _CODES,
        ("type", "is_used", _B),
        *_alter(_CODES, "ALTER is_used DROP DEFAULT", "ALTER is_used TYPE integer USING is_used::integer"),
    ),
    _postgresql(
        "JSON details",
        _EVENTS,
        ("type", "event_details", _B),
        *_alter(_EVENTS, "ALTER event_details TYPE jsonb USING NULL"),
    ),
    _postgresql("a narrow user_id", _EVENTS, ("type", "user_id", _H), *_alter(_EVENTS, "ALTER user_id TYPE integer")),
    _postgresql(
        "a narrow user_id beside a narrow id",
        _CODES,
        ("type", "user_id", _H),
        *_alter(_CODES, "ALTER user_id TYPE smallint", "ALTER id TYPE integer"),
    ),
    _postgresql(
        "another user_id",
        _EVENTS,
        ("type", "user_id", _B),
        *_alter(_EVENTS, "DROP CONSTRAINT mfa_events_user_id_fkey", "ALTER user_id TYPE text"),
    ),
    _postgresql(
        "a NULL allowed", _CODES, ("nullability", "code_hash", _H), *_alter(_CODES, "ALTER code_hash DROP NOT NULL")
    ),
    _postgresql(
        "a NULL forbidden", _CODES, ("nullability", "used_at", _A), *_alter(_CODES, "ALTER used_at SET NOT NULL")
    ),
    _postgresql("no default", _SECRETS, ("default", "digits", _A), *_alter(_SECRETS, "ALTER digits DROP DEFAULT")),
    _postgresql(
        "another default", _SECRETS, ("default", "digits", _A), *_alter(_SECRETS, "ALTER digits SET DEFAULT 8")
    ),
    _postgresql("no such column", _SECRETS, ("column", "state_mac", _A), *_alter(_SECRETS, "DROP state_mac")),
    _postgresql(
        "no column that has to be filled", _SECRETS, ("column", "created_at", _B), *_alter(_SECRETS, "DROP created_at")
    ),
    _postgresql("a column more", _SECRETS, ("column", "nickname", _T), *_alter(_SECRETS, "ADD nickname text")),
    _postgresql(
        "a column more that has to be filled",
        _SECRETS,
        ("column", "tenant", _B),
        *_alter(_SECRETS, "ADD tenant int NOT NULL"),
    ),
    _postgresql("no primary key", _CODES, ("primary key", "", _B), *_alter(_CODES, f"DROP CONSTRAINT {_CODES}_pkey")),
    _postgresql("an id without a sequence", _CODES, ("numbering", "id", _B), *_alter(_CODES, "ALTER id DROP DEFAULT")),
    _postgresql(
        "no unique",
        _CODES,
        ("unique", "(user_id, code_hash)", _A),
        *_alter(_CODES, "DROP CONSTRAINT uq_mfa_backup_codes_user_id_code_hash"),
    ),
    _postgresql("too unique", _EVENTS, ("unique", "(user_id)", _B), *_alter(_EVENTS, "ADD UNIQUE (user_id)")),
    _postgresql("no index", _CODES, ("index", "(code_hash)", _A), "DROP INDEX ix_mfa_backup_codes_code_hash"),
    _postgresql("an index more", _CODES, ("index", "(used_at)", _T), f"CREATE INDEX ON {_CODES} (used_at)"),
    _postgresql(
        "an index over some rows",
        _CODES,
        ("index", "(code_hash)", _A),
        "DROP INDEX ix_mfa_backup_codes_code_hash",
        f"CREATE INDEX ix_mfa_backup_codes_code_hash ON {_CODES} (code_hash) WHERE is_used",
    ),
    _postgresql(
        "an invalid index",
        _CODES,
        ("index", "(code_hash)", _A),
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_mfa_backup_codes_code_hash'::regclass",
    ),
    _postgresql("no foreign key", _CODES, ("foreign key", "(user_id)", _A), *_alter(_CODES, f"DROP CONSTRAINT {_FK}")),
    _postgresql(
        "rows that outlive their user",
        _CODES,
        ("foreign key", "(user_id)", _A),
        *_alter(_CODES, f"DROP CONSTRAINT {_FK}"),
        _REFERENCE,
    ),
    _postgresql("a second, stricter foreign key", _CODES, ("foreign key", "(user_id)", _A), _REFERENCE),
    _postgresql(
        "a foreign key that was never checked",
        _CODES,
        ("foreign key", "(user_id)", _A),
        *_alter(_CODES, f"DROP CONSTRAINT {_FK}"),
        f"{_REFERENCE} ON DELETE CASCADE NOT VALID",
    ),
    _postgresql(
        "a foreign key switched off", _CODES, ("foreign key", "(user_id)", _B), *_alter("users", "DISABLE TRIGGER ALL")
    ),
    _postgresql("row level security", _CODES, ("storage", "", _B), *_alter(_CODES, "ENABLE ROW LEVEL SECURITY")),
    _postgresql("an unlogged table", _CODES, ("storage", "", _B), *_alter(_CODES, "SET UNLOGGED")),
    _postgresql("a check", _CODES, ("listed", "", _T), *_alter(_CODES, "ADD CHECK (length(code_hash) > 1)")),
    _postgresql("a view", _CODES, ("table", "", _B), f"DROP TABLE {_CODES}", f"CREATE VIEW {_CODES} AS SELECT 1 AS id"),
    _postgresql(
        "users without a key", "users", ("unique", "(id)", _B), *_alter("users", "DROP CONSTRAINT users_pkey CASCADE")
    ),
)

_MARIADB_FK = "mfa_backup_codes_ibfk_1"
MARIADB = (
    _mariadb(
        "whole seconds", _EVENTS, ("type", "created_at", _H), *_alter(_EVENTS, "MODIFY created_at DATETIME NOT NULL")
    ),
    _mariadb(
        "timestamps of the session",
        _EVENTS,
        ("type", "created_at", _B),
        *_alter(_EVENTS, "MODIFY created_at TIMESTAMP(6) NOT NULL"),
    ),
    _mariadb("small ids", _EVENTS, ("type", "id", _H), *_alter(_EVENTS, "MODIFY id INT NOT NULL AUTO_INCREMENT")),
    _mariadb(
        "unsigned ids",
        _EVENTS,
        ("type", "id", _T),
        *_alter(_EVENTS, "MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT"),
    ),
    _mariadb(
        "short strings",
        _DEVICES,
        ("type", "trust_token", _A),
        *_alter(_DEVICES, "MODIFY trust_token VARCHAR(64) NOT NULL"),
    ),
    _mariadb(
        "numbers for booleans",
        _CODES,
        ("type", "is_used", _T),
        *_alter(_CODES, "MODIFY is_used INT NOT NULL DEFAULT 0"),
    ),
    _mariadb(
        "another character set",
        _DEVICES,
        ("type", "device_name", _H),
        *_alter(_DEVICES, "MODIFY device_name VARCHAR(255) CHARACTER SET latin1"),
    ),
    _mariadb(
        "a NULL allowed", _CODES, ("nullability", "code_hash", _H), *_alter(_CODES, "MODIFY code_hash VARCHAR(128)")
    ),
    _mariadb("no default", _SECRETS, ("default", "digits", _A), *_alter(_SECRETS, "ALTER digits DROP DEFAULT")),
    _mariadb("no such column", _SECRETS, ("column", "state_mac", _A), *_alter(_SECRETS, "DROP state_mac")),
    _mariadb(
        "a column more that has to be filled",
        _SECRETS,
        ("column", "tenant", _B),
        *_alter(_SECRETS, "ADD tenant INT NOT NULL"),
    ),
    _mariadb(
        "no primary key",
        _CODES,
        ("primary key", "", _B),
        *_alter(_CODES, "MODIFY id BIGINT NOT NULL", "DROP PRIMARY KEY"),
    ),
    _mariadb(
        "an id that does not count", _CODES, ("numbering", "id", _B), *_alter(_CODES, "MODIFY id BIGINT NOT NULL")
    ),
    _mariadb(
        "no unique",
        _CODES,
        ("unique", "(user_id, code_hash)", _A),
        *_alter(_CODES, "DROP INDEX uq_mfa_backup_codes_user_id_code_hash"),
    ),
    _mariadb(
        "no index", _CODES, ("index", "(code_hash)", _A), *_alter(_CODES, "DROP INDEX ix_mfa_backup_codes_code_hash")
    ),
    _mariadb(
        "an index over the beginning",
        _CODES,
        ("index", "(code_hash)", _A),
        *_alter(
            _CODES, "DROP INDEX ix_mfa_backup_codes_code_hash", "ADD INDEX ix_mfa_backup_codes_code_hash (code_hash(8))"
        ),
    ),
    _mariadb(
        "an ignored index",
        _CODES,
        ("index", "(code_hash)", _A),
        *_alter(_CODES, "ALTER INDEX ix_mfa_backup_codes_code_hash IGNORED"),
    ),
    _mariadb(
        "no foreign key", _CODES, ("foreign key", "(user_id)", _H), *_alter(_CODES, f"DROP FOREIGN KEY {_MARIADB_FK}")
    ),
    _mariadb(
        "rows that outlive their user",
        _CODES,
        ("foreign key", "(user_id)", _H),
        *_alter(_CODES, f"DROP FOREIGN KEY {_MARIADB_FK}"),
        _REFERENCE,
    ),
    _mariadb(
        "MyISAM", _CODES, ("storage", "", _B), *_alter(_CODES, f"DROP FOREIGN KEY {_MARIADB_FK}", "ENGINE=MyISAM")
    ),
    _mariadb(
        "a narrow user_id",
        _CODES,
        ("type", "user_id", _H),
        *_alter(_CODES, f"DROP FOREIGN KEY {_MARIADB_FK}", "MODIFY user_id INT UNSIGNED NOT NULL"),
    ),
    _mariadb(
        "everything about a column",
        _CODES,
        ("nullability", "code_hash", _H),
        *_alter(
            _CODES,
            "MODIFY code_hash VARCHAR(64) NULL",
            "MODIFY is_used BOOLEAN NULL DEFAULT NULL",
            "MODIFY created_at DATETIME NULL",
        ),
    ),
    _mariadb(
        "another user_id",
        _CODES,
        ("type", "user_id", _B),
        *_alter(_CODES, f"DROP FOREIGN KEY {_MARIADB_FK}", "MODIFY user_id BIGINT UNSIGNED NOT NULL"),
    ),
    _mariadb("a view", _CODES, ("table", "", _B), f"DROP TABLE {_CODES}", f"CREATE VIEW {_CODES} AS SELECT 1 AS id"),
)

SQLITE = (
    _sqlite("moments as numbers", _EVENTS, ("type", "created_at", _B), "created_at DATETIME", "created_at INTEGER"),
    _sqlite("an id that does not count", _EVENTS, ("numbering", "id", _B), "id INTEGER NOT NULL", "id BIGINT NOT NULL"),
    _sqlite("no primary key", _EVENTS, ("primary key", "", _B), "PRIMARY KEY (id), ", ""),
    _sqlite(
        "a NULL allowed",
        _CODES,
        ("nullability", "code_hash", _H),
        "code_hash VARCHAR(128) NOT NULL",
        "code_hash VARCHAR(128)",
    ),
    _sqlite("no default", _SECRETS, ("default", "digits", _H), "DEFAULT 6 ", ""),
    _sqlite("no such column", _SECRETS, ("column", "state_mac", _A), "state_mac VARCHAR(128), ", ""),
    _sqlite(
        "a column more that has to be filled",
        _SECRETS,
        ("column", "tenant", _B),
        "state_mac VARCHAR(128)",
        "state_mac VARCHAR(128), tenant INTEGER NOT NULL",
    ),
    _sqlite(
        "no unique",
        _SECRETS,
        ("unique", "(user_id)", _A),
        "CONSTRAINT uq_user_mfa_secrets_user_id UNIQUE (user_id), ",
        "",
    ),
    _sqlite("rows that outlive their user", _CODES, ("foreign key", "(user_id)", _H), " ON DELETE CASCADE", ""),
    _sqlite("another user_id", _CODES, ("type", "user_id", _B), "user_id INTEGER", "user_id VARCHAR(36)"),
    Drift("sqlite", "no index", _CODES, ("index", "(code_hash)", _A), ("DROP INDEX ix_mfa_backup_codes_code_hash",)),
    Drift(
        "sqlite",
        "an index over some rows",
        _CODES,
        ("index", "(code_hash)", _A),
        ("DROP INDEX ix_mfa_backup_codes_code_hash", f"CREATE INDEX some ON {_CODES} (code_hash) WHERE is_used"),
    ),
    Drift(
        "sqlite",
        "a trigger",
        _CODES,
        ("listed", "", _T),
        (f"CREATE TRIGGER told AFTER INSERT ON {_CODES} BEGIN SELECT 1; END",),
    ),
    Drift(
        "sqlite",
        "a view",
        _CODES,
        ("table", "", _B),
        (f"DROP TABLE {_CODES}", f"CREATE VIEW {_CODES} AS SELECT 1 AS id"),
    ),
)

DRIFTS = (*SQLITE, *POSTGRESQL, *MARIADB)

# These make the same change in another way, so that one of them is all that there can be.
_ALIKE = {"(code_hash)", "(user_id)", "digits", "created_at", "trust_token"}


def in_company(backend: str) -> st.SearchStrategy[list[Drift]]:
    """Some drifts that a plan repairs, in an order in which they can be made one after the other."""
    repairable = [drift for drift in DRIFTS if drift.backend == backend and drift.sees[2] in {_A, _H}]

    def of_one_kind(drift: Drift) -> str:
        # A narrow user_id has lost its foreign key on MariaDB.
        what = "(user_id)" if drift.sees[1] == "user_id" else drift.sees[1]
        return what if what in _ALIKE else drift.name

    some = st.lists(st.sampled_from(repairable), min_size=2, max_size=6, unique_by=of_one_kind)
    return some.map(lambda drifts: sorted(drifts, key=lambda one: one.rewrite is None))
