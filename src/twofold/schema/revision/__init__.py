"""The revision itself: made, verified, recorded and taken back.

Tests: `tests/test_migrations.py`, `tests/schema`, `tests/hosts`.
"""
