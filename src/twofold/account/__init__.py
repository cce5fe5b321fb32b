"""The user's row: the one lock, what it seals, and the one place that knows of locks, transactions and drivers.

`store` reads a row and proves it, and writes state and event in one compare-and-swap. `digests` says what the row seals
of the user's other rows. `transactions` runs an operation, and runs it again where the database asks for that.
"""
