"""A plan: its steps, what they lock and who waits, and what stands in the way.

Tests: `tests/schema/test_plans.py`, `tests/schema/test_planner.py`, `tests/cli/test_db.py`.
"""
