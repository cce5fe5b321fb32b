"""What the revision makes, whether a database has it, and how to bring it there.

Tests: `tests/schema`, `tests/hosts`, `tests/test_migrations.py`.
"""
