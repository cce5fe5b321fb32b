"""The host's users: which table, and what `user_id` may refer to.

Tests: `tests/hosts/test_users.py`, `tests/hosts/test_users_of_other_kinds.py`, `tests/test_ids.py`.
"""
