"""Signed statements of where every user's log ended, kept away from the database.

Tests: `tests/checkpoints`, `tests/attacks/test_checkpoints.py`.
"""
