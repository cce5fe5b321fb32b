"""The audit log: what happened, in which order, and proof that nothing was altered.

Tests: `tests/events`, `tests/attacks/test_tampering_with_the_log.py`.
"""
