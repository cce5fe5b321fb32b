"""A file of keys is read where nobody else can read or write it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from twofold.errors import ConfigurationError
from twofold.key_files import exposed, read_key_file, read_public_file
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from pathlib import Path


def found(mode: int, *, owner: int, kind: int = stat.S_IFREG) -> os.stat_result:
    return os.stat_result((kind | mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_for_its_owner_alone_is_read(mode: int) -> None:
    assert exposed(found(mode, owner=1000)) is None
    assert exposed(found(mode, owner=0)) is None


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601, 0o620, 0o660, 0o610, 0o666, 0o777])
def test_a_file_that_others_can_read_or_write_is_not(mode: int) -> None:
    assert exposed(found(mode, owner=1000)) == exposed(found(mode, owner=0)) == f"{mode:04o}"


@pytest.mark.parametrize("mode", [0o440, 0o640])
def test_a_secret_of_a_container_may_be_read_by_its_group(mode: int) -> None:
    """As Kubernetes and Docker mount it, owned by root; where the owner is somebody else, it is the group's too."""
    assert exposed(found(mode, owner=0)) is None
    assert exposed(found(mode, owner=1000)) == f"{mode:04o}"


def test_a_pipe_has_no_mode_that_counts() -> None:
    assert exposed(found(0o666, owner=1000, kind=stat.S_IFIFO)) is None


@pytest.mark.requirement("R92")
def test_what_is_read_is_looked_at_and_the_next_step_is_named(tmp_path: Path) -> None:
    path, key = tmp_path / "keys", generate_key("k1")
    path.write_text(f"{key}\n")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match=rf"\(mode 0644\): chmod 600 {path}$") as refused:
        read_key_file(path)
    assert key not in str(refused.value)
    assert read_public_file(path) == [key]
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(ConfigurationError, match="mode 0644"):
        read_key_file(link)
    path.chmod(0o600)
    assert read_key_file(path) == read_key_file(link) == [key]
