"""A notebook, once on each framework: people sign in with a password, write notes, and take them away.

`python -m examples.notebook fastapi` runs it, or `fastapi_bearer` (for programs), `starlette`, `flask`, `flask_login`.
What a second factor took stands between "Twofold" and "end".

Tests: `tests/web/test_bindings.py`, `tests/web/test_bearers.py`.
"""
