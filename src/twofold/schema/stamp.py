"""An honest stamp: the revision is recorded only where its tables are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic import context

from twofold import lines
from twofold.errors import SchemaDrift
from twofold.schema.conformity.verifier import verify
from twofold.schema.failures import refusal_as_command_error
from twofold.schema.history import EVERY
from twofold.schema.users.users import configured

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import sqlalchemy as sa
    from alembic.runtime.migration import MigrationContext, MigrationInfo

    from twofold.schema.history import History

OVERRIDE = "twofold_unverified_stamp"


@refusal_as_command_error()
def refuse_unverified(
    ctx: MigrationContext,
    step: MigrationInfo,
    heads: Collection[Any],  # noqa: ARG001 - Alembic passes all four by name.
    run_args: Mapping[str, Any],  # noqa: ARG001 - The same.
) -> None:
    """Veto `alembic stamp 769e76ff65d7` on tables that do not conform. For `on_version_apply` of an env.py.

    The revision of the table of passkeys is asked of that table in the same way.

    `-x twofold_unverified_stamp=yes` overrides it, and is logged.
    """
    if ctx.as_sql or ctx.connection is None or not (step.is_stamp and step.is_upgrade):
        return
    for history in EVERY:
        if history.revision in step.up_revision_ids:
            _refuse(ctx.connection, history)


def _refuse(connection: sa.Connection, history: History) -> None:
    report = verify(connection, configured(context.config), history)
    if report.conforms:
        return
    if context.get_x_argument(as_dictionary=True).get(OVERRIDE) == "yes":
        for finding in report.drift:
            lines.STAMPED_UNVERIFIED.write(str(finding))
        return
    try:
        report.raise_if_drifted()
    except SchemaDrift as drift:
        message = f"Revision {history.revision} was not recorded. {drift}"
        raise SchemaDrift(message, drift.differences) from None
