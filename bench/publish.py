"""Write the last results into docs/performance.md: `python -m bench.publish`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench import long_log, scale, verify
from bench.peers import contest
from bench.report import RESULTS

_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_TABLES = {"figures": verify, "peers": contest, "sizes": scale, "lengths": long_log}


def main() -> int:
    """Publish what there is."""
    page, published = _PAGE.read_text(encoding="utf-8"), 0
    for name, program in _TABLES.items():
        path = RESULTS / f"{program.RESULT}.json"
        if path.exists():
            day = f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%d}"
            text = program.table(json.loads(path.read_text(encoding="utf-8")))
            before, begin, rest = page.partition(f"<!-- {name} -->\n")
            _, end, after = rest.partition(f"\n<!-- end of {name} -->")
            page, published = f"{before}{begin}{day}: {text}{end}{after}", published + 1
        else:
            print(f"There is no {path.name}.", file=sys.stderr)
    _PAGE.write_text(page, encoding="utf-8")
    return 0 if published else 1


if __name__ == "__main__":
    sys.exit(main())
