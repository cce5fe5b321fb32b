"""Whether tables conform to the revision: what the catalog says of them, and where that differs.

Tests: `tests/schema/test_verifier.py`, `tests/schema/test_spec.py`, `tests/hosts`.
"""
