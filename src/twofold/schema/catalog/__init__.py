"""What a database says of its tables, in one form for all databases.

Tests: `tests/schema/test_verifier.py`, `tests/hosts/test_users_of_other_kinds.py`.
"""
