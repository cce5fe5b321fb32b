"""The command line with its log on standard error, a moment before each line: `python -m bench.told db adopt`."""

from __future__ import annotations

import logging

from twofold.cli import main

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(created)f %(message)s")
    main()
