"""Time-based one-time passwords (RFC 6238), the factor that an authenticator app holds.

Tests: `tests/totp`.
"""
