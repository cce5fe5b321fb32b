"""A process of its own that answers one challenge when it is told to: token, code and moment come on its input."""

from __future__ import annotations

import sys
from datetime import datetime

from twofold import MFA, Rejected, Settings
from twofold.database import create_engine


def main() -> None:
    settings = Settings()
    mfa = MFA(create_engine(settings.database_url.get_secret_value()), settings, clock=lambda: moment)
    print("ready", flush=True)  # noqa: T201
    token, code, when = sys.stdin.read().split()
    moment = datetime.fromisoformat(when)
    try:
        mfa.verify(token, code)
    except Rejected as rejected:
        print(rejected.reason)  # noqa: T201
    else:
        print("success")  # noqa: T201


if __name__ == "__main__":
    main()
