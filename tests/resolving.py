"""Resolve the core by itself, and with passkeys, as somebody's installer does: `make resolve`.

What the extra for passkeys needs holds cryptography back now and then. The core never waits for that: alone it takes
the newest.
"""

from __future__ import annotations

import json
import subprocess
import sys

from tests.databases import ROOT


def resolved(requirement: str) -> dict[str, str]:
    """The versions that pip would install into an empty environment, by the names of the packages."""
    install = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    dry = ["--dry-run", "--ignore-installed", "--report", "-", requirement]
    done = subprocess.run([*install, *dry], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = [package["metadata"] for package in json.loads(done.stdout)["install"]]
    return {package["name"].lower(): package["version"] for package in packages}


def main() -> int:
    """Say what each takes; 1 where the core is held back."""
    newest, core = resolved("cryptography")["cryptography"], resolved(".")["cryptography"]
    extra = resolved(".[passkeys]")
    told = f"cryptography: {newest} is the newest, {core} is in the core, {extra['cryptography']} with passkeys"
    sys.stdout.write(f"{told}, which take webauthn {extra['webauthn']}\n")
    return int(core != newest)


if __name__ == "__main__":
    sys.exit(main())
