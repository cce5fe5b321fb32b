"""Write the last results into docs/performance.md: `python -m bench.publish`."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from bench.report import RESULTS, tell

_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_TABLES = {"figures": "latest", "peers": "peers", "sizes": "scale", "lengths": "log"}


def main() -> None:
    """Publish what there is."""
    page = _PAGE.read_text(encoding="utf-8")
    for name, result in _TABLES.items():
        path = RESULTS / f"{result}.json"
        if not path.exists():
            tell(f"There is no {path.name}.")
            continue
        day = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
        parts = re.split(rf"(<!-- {name} -->\n|\n<!-- end of {name} -->)", page)
        parts[2] = f"{day}: {json.loads(path.read_text(encoding='utf-8'))['table']}"
        page = "".join(parts)
    _PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
