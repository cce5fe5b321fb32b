"""Passkeys: WebAuthn credentials of one user, which sign what they are asked and cannot be phished.

`relying_party` is what browsers are asked for, `asking` asks, `ceremony` judges what comes back (`cbor`: its bytes,
`policy`: which new ones are let in),
`factor` spends an assertion at a login, `registering` takes a new passkey in and `adoption` one of another table,
`held` opens those that a user has, `listing` and `endings` are for their owner. The challenge of WebAuthn is a signed
token of ours, so nothing is kept between the two halves of a ceremony.

Tests: `tests/passkeys`.
"""
