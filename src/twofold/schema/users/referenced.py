"""Whether `user_id` can reference the users: what stands in the way, and what to do about it.

Migration, verifier and doctor ask this one place, so that none of them makes what another one refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twofold.schema.users.ids import SERVED, ids

if TYPE_CHECKING:
    from twofold.metadata import UsersColumn
    from twofold.schema.catalog.relation import Index, Relation

_REFERABLE = {"table", "partitioned table"}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why nothing can reference the users. `found` and `wanted` are words of a finding, `step` is what to do."""

    aspect: Literal["table", "column", "type", "unique", "storage"]
    subject: str
    found: str
    wanted: str
    sentence: str
    step: str

    def __str__(self) -> str:
        return f"{self.sentence} {self.step}"


def obstacle(users: UsersColumn, parent: Relation | None, dialect: str) -> Obstacle | None:
    """What keeps a foreign key from referencing this column of what the catalog found under the name, if anything."""
    table, key = users.table_key, users.column
    other = "name the key of another table in TWOFOLD_USERS"
    if parent is None:
        first = "Run your application's own migrations first, or name the key of its users table: "
        where = "in TWOFOLD_USERS, or in your own revision file."
        sentence = f"There is no {users} in the database."
        return Obstacle("table", "", "missing", "the table that user_id references", sentence, first + where)
    if parent.kind not in _REFERABLE:
        found = f"{_article(parent.kind)} {parent.kind}"
        sentence = f"{table} is {found}, which no foreign key can reference."
        meant = "whole table" if parent.kind == "partition" else "table behind it"
        return Obstacle("table", "", found, "a table", sentence, f"Name the key of the {meant} in TWOFOLD_USERS.")
    for flaw, remedy in _REMEDIES.items():
        if (reason := next((one for one in parent.flaws if one.startswith(flaw)), None)) is not None:
            sentence = f"{table} is no table that ours can reference: {reason}."
            return Obstacle(
                "storage", "", reason, "a table that a foreign key can reference", sentence, remedy + other + "."
            )
    if key not in parent.columns:
        sentence = f"There is no {users} in the database: {table} has no column {key}."
        step = "Set TWOFOLD_USERS to the key of your users' table, as table.column."
        return Obstacle("column", key, "missing", "a column that is the primary key or unique", sentence, step)
    if (shared := _not_unique(users, parent)) is not None:
        return shared
    live = parent.columns[key].type
    if ids(live, dialect) is None:
        sentence = f"{users} is {live}, which is no key that is served: {SERVED}."
        step = "Give the users a key of such a kind beside it, and name that in TWOFOLD_USERS, as table.column."
        return Obstacle("type", key, str(live), SERVED, sentence, step)
    return None


_REMEDIES = {
    "partitioned": "Take the partitions away (ALTER TABLE ... REMOVE PARTITIONING), or ",
    "engine": "Give it InnoDB (ALTER TABLE ... ENGINE = InnoDB), or ",
    "unlogged": "Make it permanent (ALTER TABLE ... SET LOGGED), or ",
    "temporary": "Make it permanent, or ",
}
"""What becomes of the flaws of storage that keep a foreign key out, by how the catalogs begin to tell them."""


def _article(kind: str) -> str:
    return "an" if kind[0] in "aeiou" else "a"


def _not_unique(users: UsersColumn, parent: Relation) -> Obstacle | None:
    """A key that two users can share belongs to nobody."""
    key = users.column
    if (key,) == parent.primary_key or any(_serves(one, key) for one in parent.indexes):
        return None
    flawed = next((one for one in parent.indexes if one.unique and one.columns == (key,)), None)
    if flawed is not None:
        found = f"{flawed.name} is {flawed.flaw}"
        why = f"its unique key {flawed.name} is {flawed.flaw}"
    elif key in parent.primary_key:
        found = f"only part of the primary key ({', '.join(parent.primary_key)})"
        why = f"it is {found}"
    elif any(one.unique and key in one.columns for one in parent.indexes):
        found = "only part of a unique key"
        why = f"it is {found}"
    else:
        found, why = "missing", "it is neither the primary key nor unique"
    return Obstacle(
        "unique",
        f"({key})",
        found,
        "a column that is the primary key or unique",
        f"{users} could belong to two users: {why}.",
        f"Give {key} a unique key of its own, or name another key in TWOFOLD_USERS, as table.column.",
    )


def _serves(index: Index, key: str) -> bool:
    return index.unique and index.columns == (key,) and index.flaw is None
