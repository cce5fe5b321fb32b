"""An honest stamp: the revision is recorded only where its tables are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic import context

from twofold import lines
from twofold.errors import SchemaDrift
from twofold.schema import spec
from twofold.schema.conformity.verifier import verify
from twofold.schema.failures import refusal_as_command_error
from twofold.schema.users.users import configured

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from alembic.runtime.migration import MigrationContext, MigrationInfo

OVERRIDE = "twofold_unverified_stamp"


@refusal_as_command_error()
def refuse_unverified(
    ctx: MigrationContext,
    step: MigrationInfo,
    heads: Collection[Any],  # noqa: ARG001 - Alembic passes all four by name.
    run_args: Mapping[str, Any],  # noqa: ARG001 - The same.
) -> None:
    """Veto `alembic stamp 769e76ff65d7` on tables that do not conform. For `on_version_apply` of an env.py.

    `-x twofold_unverified_stamp=yes` overrides it, and is logged.
    """
    if ctx.as_sql or not (step.is_stamp and step.is_upgrade and spec.REVISION in step.up_revision_ids):
        return
    if ctx.connection is None:
        return
    report = verify(ctx.connection, configured(context.config))
    if report.conforms:
        return
    if context.get_x_argument(as_dictionary=True).get(OVERRIDE) == "yes":
        for finding in report.drift:
            lines.STAMPED_UNVERIFIED.write(str(finding))
        return
    try:
        report.raise_if_drifted()
    except SchemaDrift as drift:
        message = f"Revision {spec.REVISION} was not recorded. {drift}"
        raise SchemaDrift(message, drift.differences) from None
