"""What the host has built upon our tables, and what becomes of it when they are changed or dropped.

Tests: `tests/schema/test_dependants.py`, `tests/schema/test_plans.py`.
"""
