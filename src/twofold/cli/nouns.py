"""What each command of `twofold` is about, told without a look at the command itself."""

from __future__ import annotations

ABOUT = {
    "db": "The tables in your database. Which database: TWOFOLD_DATABASE_URL, which users: TWOFOLD_USERS.",
    "keys": "The keys that seal secrets and sign rows. Read from TWOFOLD_KEYS, else from TWOFOLD_KEYS_FILE.",
    "users": (
        "One user's second factor. The id is what the users' table holds: an integer, a UUID, a text, or bytes in hex."
    ),
    "secrets": "Secrets, cookies and codes of before Twofold.",
    "events": "The audit log: what happened to whose second factor.",
    "doctor": "Check keys, database, schema, clock and policy, and name the next step for whatever is wrong.",
    "serve": "Run the self-hosted service: /health/live and /health/ready, and on / a page that says what runs here.",
}
