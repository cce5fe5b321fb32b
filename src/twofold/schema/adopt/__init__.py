"""Bring tables that exist to the revision: the plan, its steps on each database, and how they are carried out.

Tests: `tests/schema`, `tests/cli/test_db.py`.
"""
