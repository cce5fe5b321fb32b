"""What is done to the rows of all users, in batches, while they log in: new keys, adoption, retention.

Tests: `tests/upkeep`.
"""
