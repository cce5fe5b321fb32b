"""Twofold's own Alembic history, in its own version table, so that a host's history is never mixed with it.

Tests: `tests/test_migrations.py`.
"""
