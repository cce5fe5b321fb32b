"""Trusted devices: browsers that may skip the challenge for a while.

A device holds a token in a cookie: 128 bits that name its series, and 256 bits that change with each use. Its row holds
keyed hashes of both. The token before the last is good for a short grace, for requests that were already under way. Any
other token of the series, however old, is trusted no more, and asks for a code: an answer was lost on its way, a
browser was restored from a copy, a database forgot its last second, or somebody copied the cookie. In the first three
the newest token never comes back. Where it does, two have the cookie: the device is revoked, with an alarm. The hashes
are bound to the user, the enrolment and the end of the trust, and the user's row seals the rows, so that no change of a
row by hand brings trust back. Trust skips a prompt and proves nothing (NIST SP 800-63B-4 §5.1).

Tests: `tests/trusted_devices`, `tests/attacks/test_devices.py`.
"""
