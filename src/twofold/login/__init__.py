"""The story of a login, and what begins and ends a user's factors.

Tests: `tests/test_login.py`, `tests/test_story.py`, `tests/test_epochs.py`, `tests/test_status.py`.
"""
