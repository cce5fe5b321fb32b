"""Passkeys: WebAuthn credentials of one user, which sign what they are asked and cannot be phished.

`relying_party` is what browsers are asked for, `ceremony` judges what comes back, `factor` spends an assertion at a
login, `registering` takes a new passkey in, `listing`, `naming` and `endings` are for its owner. The challenge of
WebAuthn is a signed token of ours, so nothing is kept between the two halves of a ceremony.

Tests: `tests/passkeys`.
"""
