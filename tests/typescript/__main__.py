"""Install the compiler: `python -m tests.typescript`. Where that fails, the tests say what they leave out."""

from __future__ import annotations

import sys

from tests import typescript

if problem := typescript.install():
    sys.stderr.write(f"The compiler of TypeScript was not installed:\n{problem}\n")
