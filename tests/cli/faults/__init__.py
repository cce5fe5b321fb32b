"""What `twofold doctor` finds. docs/cli.md has the same table: `python -m tests.cli.documented` writes it."""

from __future__ import annotations

from tests.cli.faults import policy, rows, server, settings, tables

FAULTS = (*settings.FAULTS, *server.FAULTS, *tables.FAULTS, *rows.FAULTS, *policy.FAULTS)
