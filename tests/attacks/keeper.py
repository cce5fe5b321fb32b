"""Whoever keeps the checkpoints: with the database's address and a key pair of their own, and without TWOFOLD_KEYS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.cli.conftest import Answer, Shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database


@dataclass
class Keeper:
    """Runs the commands about checkpoints; `keys` are those of the application, for tombstones alone."""

    folder: Path
    shell: Shell
    keys: str

    @classmethod
    def of(cls, database: Database, folder: Path, keys: str) -> Keeper:
        shell = Shell({"database_url": database.url}, [keys.partition(":")[2]])
        keeper = cls(folder, shell, keys)
        made = shell("events", "checkpoint", "--new-key", str(folder / "checkpoint.key"))
        assert made.code == 0
        (folder / "checkpoint.pub").write_text(made.out)
        shell.secrets.append((folder / "checkpoint.key").read_text().strip().partition(":")[2])
        return keeper

    @property
    def file(self) -> Path:
        return self.folder / "checkpoints.jsonl"

    def checkpoint(self, *options: str) -> Any:
        answer = self.shell("events", "checkpoint", str(self.file), *options, "--json", **self._key())
        assert answer.code == 0, answer.out
        return answer.data

    def compare(self, *options: str) -> Answer:
        """What an auditor is told, who has the public key alone."""
        given = ("--against", str(self.file), "--public-key", str(self.folder / "checkpoint.pub"))
        return self.shell("events", "verify", *given, *options)

    def found(self) -> dict[Any, tuple[int | None, str]]:
        """The users whose chains are not what they were: the first bad number, and what is told."""
        answer = self.compare("--json")
        assert answer.code == (1 if answer.data["broken"] else 0)
        return {one["user_id"]: (one["first_bad"], one["problem"]) for one in answer.data["broken"]}

    def bury(self, *tombstones: str) -> Answer:
        """Append tombstones, for which the keys of the application are needed as well."""
        typed = "".join(f"{tombstone}\n" for tombstone in tombstones)
        return self.shell("events", "tombstone", str(self.file), "--json", typed=typed, keys=self.keys, **self._key())

    def _key(self) -> dict[str, str]:
        return {"checkpoint_key_file": str(self.folder / "checkpoint.key")}
