"""The self-hosted service, for applications in any language.

Tests: `tests/cli/test_serve.py`.
"""
