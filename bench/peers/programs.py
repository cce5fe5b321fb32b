"""The peers, the environments that they are installed in, and their programs at work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ROOT = Path(__file__).resolve().parents[2]
_ENVIRONMENTS = _ROOT / "var" / "peers"
_REQUIREMENTS = Path(__file__).with_name("requirements")
_INSTALLS_WITHIN = 300.0


@dataclass(frozen=True)
class Kind:
    """A row of the comparison: a program, where it is installed, and what an accepted code leaves behind."""

    name: str
    module: str
    keeps: str
    environment: str | None = None
    arguments: tuple[str, ...] = ()

    @property
    def database(self) -> str:
        """The name of its database."""
        return "_".join((self.module, *self.arguments))


KINDS = (
    Kind("Twofold", "twofold", "step, failures, chained event"),
    Kind("django-otp", "django_otp", "step, failures", "django-otp"),
    Kind("allauth, shared cache", "allauth", "mark in the cache, last use", "django-allauth", ("shared",)),
    Kind("allauth, default cache", "allauth", "mark in the process, last use", "django-allauth", ("local",)),
    Kind("Flask-Security-Too", "flask_security", "nothing", "flask-security"),
    Kind("privacyIDEA", "privacyidea", "step, failures, drift", "privacyidea"),
)
"""Twofold comes first: the others are told in parts of it."""


def installed(environment: str | None, told: Callable[[str], None]) -> Path:
    """Return the Python of an environment, made on the first call. Raises RuntimeError where it cannot be made."""
    if environment is None:
        return Path(sys.executable)
    folder, requirements = _ENVIRONMENTS / environment, _REQUIREMENTS / f"{environment}.txt"
    python, mark = folder / "bin" / "python", folder / "installed.txt"
    if mark.exists() and mark.read_text() == requirements.read_text():
        return python
    told(f"Installing {environment}")
    # pip reads where packages come from, and uv does not; uv makes an environment where the venv module is missing.
    uv, pip = [sys.executable, "-m", "uv"], [sys.executable, "-m", "pip", "--python", str(folder)]
    for command in (
        [*uv, "venv", "-q", "--clear", "--no-config", "--python", sys.executable, str(folder)],
        [*pip, "install", "-q", "--disable-pip-version-check", "--no-deps", "-r", str(requirements)],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALLS_WITHIN)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{environment} was not installed within {_INSTALLS_WITHIN:g} s") from None
        if done.returncode:
            raise RuntimeError(f"{environment} was not installed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    mark.write_text(requirements.read_text())
    return python


class Program:
    """A program of a peer in a process of its own. One that ends by itself has said why on its standard error."""

    def __init__(self, kind: Kind, python: Path, url: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._kind = kind
        self._log = (folder / f"{kind.database}.log").open("a", encoding="utf-8")
        self._process = subprocess.Popen(
            [str(python), "-m", f"bench.peers.{kind.module}", url, *kind.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **environment, "BENCH_FOLDER": str(folder), "PYTHONPATH": str(_ROOT)},
            cwd=folder,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._log.close()

    def tell(self, what: str, **order: Any) -> None:
        """Give an order, and wait for nothing. Raises RuntimeError where the program has ended."""
        stream = self._process.stdin
        try:
            if stream is not None:
                stream.write(json.dumps({"do": what, **order}) + "\n")
                stream.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def answer(self) -> dict[str, Any]:
        """Wait for the answer to the order before. Raises RuntimeError where the program ended instead."""
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, what: str, **order: Any) -> dict[str, Any]:
        """Give an order and wait for the answer."""
        self.tell(what, **order)
        return self.answer()

    def _ended(self) -> RuntimeError:
        said = Path(self._log.name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return RuntimeError(f"the program of {self._kind.name} ended: {said[-1] if said else 'without a word'}")


def ask_all(programs: Sequence[Program], what: str, **order: Any) -> list[dict[str, Any]]:
    """Give the same order to all of them at once; return their answers."""
    for program in programs:
        program.tell(what, **order)
    return [program.answer() for program in programs]
