"""What starts imports no more than it needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import twofold
from tests.databases import add_passkeys
from twofold import ConfigurationError

if TYPE_CHECKING:
    from tests.databases import Database
    from tests.people import Open

HEAVY = {"alembic", "cryptography", "pydantic", "sqlalchemy", "segno"}


def imported(*code: str) -> set[str]:
    """The packages that a fresh interpreter has after running the code."""
    told = "; ".join((*code, "print(*{name.partition('.')[0] for name in sys.modules})"))
    done = subprocess.run([sys.executable, "-c", f"import sys; {told}"], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_the_package_alone_imports_nothing() -> None:
    assert HEAVY.isdisjoint(imported("import twofold"))


def test_passkeys_are_imported_by_whoever_uses_them() -> None:
    extra = {"webauthn", "cbor2", "OpenSSL"}
    assert extra.isdisjoint(imported("import twofold.mfa, twofold.testing, twofold.web.fastapi, twofold.web.flask"))
    assert extra.isdisjoint(imported("import twofold.passkeys.ceremony, twofold.cli.doctor, twofold.cli.program"))


def test_passkeys_say_which_package_is_missing(migrated: Database, ada: int, open_mfa: Open) -> None:
    add_passkeys(migrated)
    mfa = open_mfa(public_url="https://example.com")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "webauthn", None)
        with pytest.raises(ConfigurationError, match=r"pip install 'twofold\[passkeys\]'"):
            mfa.passkeys.begin(ada, account_name="ada@example.com")
        assert mfa.totp.begin(ada, account_name="ada@example.com")


def test_passkeys_say_that_their_packages_do_not_go_together(
    migrated: Database, ada: int, open_mfa: Open, tmp_path: Path
) -> None:
    add_passkeys(migrated)
    mfa = open_mfa(public_url="https://example.com")
    (tmp_path / "webauthn.py").write_text("raise AttributeError('module lib has no attribute X509_new')")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in sys.modules if name.partition(".")[0] == "webauthn"]:
            patch.delitem(sys.modules, name)
        patch.syspath_prepend(tmp_path)
        with pytest.raises(ConfigurationError, match=r"`pip check` names them"):
            mfa.passkeys.begin(ada, account_name="ada@example.com")
        assert not mfa.status(ada).is_enrolled


def test_the_list_of_commands_is_told_without_the_database() -> None:
    run = "exec('try: main([\"--help\"])\\nexcept SystemExit: pass')"
    assert HEAVY.isdisjoint(imported("from twofold.cli import main", run))


def test_a_module_beside_a_name_does_not_hide_it() -> None:
    found = imported("import twofold, twofold.metadata, twofold.settings", "assert callable(twofold.tables)")
    assert "sqlalchemy" in found


def test_every_name_is_where_type_checkers_find_it() -> None:
    tree = ast.parse(Path(twofold.__file__).read_text(encoding="utf-8"))
    told = next(node for node in tree.body if isinstance(node, ast.If))
    homes = {alias.name: node.module for node in told.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert homes == {name: getattr(twofold, name).__module__ for name in twofold.__all__}
    assert sorted(homes) == sorted(twofold.__all__) == sorted(dir(twofold))
    for name in twofold.__all__:
        assert getattr(twofold, name).__name__ == name


def test_another_name_is_none_of_it() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = twofold.Nothing  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
