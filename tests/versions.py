"""Run the quick slice on every Python that is promised, with the oldest and the newest libraries: `make versions`.

An interpreter that is not on this machine is named, and not passed over in silence. Each environment stays in
`var/versions`, so that the next run is quick.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.databases import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHONS = ("3.11", "3.12", "3.13")
RESOLUTIONS = {
    "newest": ["--resolution", "highest"],
    "SQLAlchemy 2.0": ["--resolution", "highest", "sqlalchemy>=2.0,<2.1"],
    # The test client of an old Starlette is written for httpx.
    "lowest": ["--resolution", "lowest-direct", "httpx>=0.28"],
}
# An old Starlette takes a name from anyio that a new anyio warns of.
OLD = ["-W", "ignore:The anyio.abc.BlockingPortal alias"]
UV = str(Path(sys.executable).with_name("uv"))


def found(version: str) -> str | None:
    """An interpreter of this version: on the path, of uv, or of pyenv."""
    for candidate in _candidates(version):
        code = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
        run = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
        if run.returncode == 0 and run.stdout.strip() == version:
            return candidate
    return None


def _candidates(version: str) -> Iterator[str]:
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield sys.executable
    if path := shutil.which(f"python{version}"):
        yield path
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True))
    find = [UV, "python", "find", "--no-python-downloads", "--system", version]
    run = subprocess.run(find, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        yield run.stdout.strip()


def tested(python: str, version: str, resolution: str) -> bool:
    """Whether the slice passes there."""
    name = f"{version}-{resolution.replace(' ', '-').lower()}"
    home = ROOT / "var" / "versions" / name
    own = home / "bin" / "python"
    if not own.exists():
        subprocess.run([UV, "venv", "-q", "--python", python, str(home)], check=True)
    install = [
        UV,
        "pip",
        "install",
        "-q",
        "--python",
        str(own),
        "--group",
        "dev",
        "--all-extras",
        "-r",
        "pyproject.toml",
    ]
    subprocess.run([*install, *RESOLUTIONS[resolution]], cwd=ROOT, check=True)
    subprocess.run([UV, "pip", "install", "-q", "--python", str(own), "--no-deps", "-e", "."], cwd=ROOT, check=True)
    quick = [str(own), "-m", "pytest", "-q", *(OLD if resolution == "lowest" else []), "@tests/quick.args"]
    return subprocess.run(quick, cwd=ROOT, check=False).returncode == 0


def main() -> int:
    """Run all; 1 where one failed."""
    answers: list[str] = []
    has_failed = False
    for version in PYTHONS:
        python = found(version)
        if python is None:
            answers.append(f"Python {version}: NOT FOUND on this machine, so nothing was tested with it.")
            continue
        for resolution in RESOLUTIONS:
            sys.stdout.write(f"Python {version}, {resolution}:\n")
            sys.stdout.flush()
            passed = tested(python, version, resolution)
            has_failed |= not passed
            answers.append(f"Python {version}, {resolution}: {'passed' if passed else 'FAILED'}")
    sys.stdout.write("\n".join(answers) + "\n")
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
