"""What a host's own Alembic history takes from Twofold: a filter for autogenerate, and a revision file."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.errors import ConfigurationError
from twofold.metadata import POSTGRESQL_INDEX, UsersColumn
from twofold.schema.history import EVERY, FOUR, OURS, PASSKEYS, History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

FILE_NAME = f"{FOUR.revision}_add_mfa_tables.py"
_WRITTEN = {
    FOUR.revision: (FILE_NAME, "add_mfa_tables", "Add MFA tables for two-factor authentication."),
    PASSKEYS.revision: (
        f"{PASSKEYS.revision}_add_the_table_of_passkeys.py",
        "add_passkeys_table",
        "Add the table of passkeys.",
    ),
}
"""Of each history: the file that is written for it, the module that the file calls, and what the file is about."""
_TEXT = '''"""{about}

Revision ID: {revision}
Revises: {after}
"""

from twofold.schema import {module}

revision = "{revision}"
down_revision = {down_revision}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {module}.upgrade({users})


def downgrade() -> None:
    {module}.downgrade()
'''


def include_name(
    metadata: sa.MetaData | Sequence[sa.MetaData] | None,
) -> Callable[[str | None, str, Mapping[Any, str | None]], bool]:
    """Make the `include_name` of an env.py: autogenerate leaves alone what is Twofold's.

    Give it your `target_metadata`. Twofold's version tables are never seen, its other tables only
    where `twofold.tables(metadata)` has made them yours; an index that PostgreSQL alone has is in no metadata.
    """
    sources = [metadata] if isinstance(metadata, sa.MetaData) else metadata or []
    yours = {name for source in sources for name in source.tables}
    hidden = {"table": {*(one.version_table for one in EVERY), *OURS} - yours, "index": {POSTGRESQL_INDEX}}

    def include(name: str | None, kind: str, parents: Mapping[Any, str | None]) -> bool:
        return parents.get("schema_name") is not None or name not in hidden.get(kind, ())

    return include


def write_revision(folder: Path, after: str, users: str, *, history: History = FOUR) -> Path:
    """Write the revision of a history into a host's own behind `after`, its newest one, and return the file.

    `after` may be `head`, or `base` in an empty folder. The host's revisions are read and not run. Raises
    ConfigurationError, with nothing written, where the history would fork or a file is in the way.
    """
    UsersColumn.parse(users)
    behind = _behind(folder, after, history.revision)
    name, module, about = _WRITTEN[history.revision]
    text = _TEXT.format(
        about=about,
        module=module,
        revision=history.revision,
        after=behind or "nothing",
        down_revision="None" if behind is None else json.dumps(behind),
        users=json.dumps(users),
    )
    file = folder / name
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigurationError(f"{file} exists and is left as it is.") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written ({error.strerror}).") from None
    return file


def _behind(folder: Path, after: str, revision: str) -> str | None:
    """The revision that the new one follows; None for none."""
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder {folder}; name the one that holds your revisions.")
    history = dict(_history(folder))
    if revision in history:
        raise ConfigurationError(f"Revision {revision} is in {folder} already.")
    if not history:
        if after == "base":
            return None
        raise ConfigurationError(f"There are no revisions in {folder}. In an empty history, say --after base.")
    heads = sorted(history.keys() - {parent for parents in history.values() for parent in parents})
    newest = ", ".join(heads)
    if after == "head" and len(heads) == 1:
        return heads[0]
    if after == "head":
        raise ConfigurationError(f"The history in {folder} has several heads: {newest}. Name the one to follow.")
    if after not in history:
        raise ConfigurationError(f"There is no revision {after} in {folder}; the newest is {newest}.")
    if after not in heads:
        raise ConfigurationError(
            f"Revision {after} is followed by others, and the history would fork. Follow the newest: --after {newest}"
        )
    return after


def _history(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every revision of a folder with those that it follows."""
    for file in sorted(folder.glob("*.py")):
        assigned = dict(_assigned(file))
        match assigned.get("revision"), assigned.get("down_revision"):
            case str(revision), str(parent):
                yield revision, (parent,)
            case str(revision), parents:
                yield revision, tuple(parents or ())
            case _:
                pass


def _assigned(file: Path) -> Iterator[tuple[str, Any]]:
    """The constants that a file assigns at its top level, without running it."""
    try:
        module = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError) as error:
        raise ConfigurationError(f"{file} cannot be read as Python ({type(error).__name__}).") from None
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        try:
            yield name, ast.literal_eval(value)
        except ValueError:
            continue
