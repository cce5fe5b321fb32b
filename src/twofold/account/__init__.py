"""The user's row: the one lock, what it seals, and the one place that knows of locks, transactions and drivers.

`reading` reads a row and proves it, `sealed` the rows that it seals, by their `digests`. `store` writes state and event
in one compare-and-swap. `transactions` runs an operation, and runs it again where the database asks for that, on a
connection out of `connections`.

Tests: `tests/test_transactions.py`, `tests/test_operation.py`, `tests/test_driver.py`, `tests/test_quiet_writes.py`,
`tests/hosts`, `tests/attacks/test_property_of_the_seal.py`.
"""
