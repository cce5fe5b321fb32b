"""The history of the table of passkeys, recorded in `alembic_version_twofold_passkeys`.

Tests: `tests/schema/test_passkeys.py`.
"""
