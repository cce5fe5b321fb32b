"""Keys, files and variables."""

from __future__ import annotations

from tests.cli.faults.fault import FILE, Faults, Sick
from twofold.checkpoints import signing
from twofold.keyring import generate_key

FAULTS = Faults()


@FAULTS.add(
    "no keys",
    "keys",
    "wrong",
    "There are no keys; make one with `twofold keys generate` and set TWOFOLD_KEYS.",
    on=FILE,
)
def _(sick: Sick) -> None:
    del sick.shell.environment["keys"]


@FAULTS.add("a key that is cut off, or no base64", "keys", "wrong", "Key 1 has 31 bytes; a key has 32.", on=FILE)
def _(sick: Sick) -> None:
    sick.set(keys=f"k1:{'QUJD' * 10}QQ==")


@FAULTS.add(
    "a key file that others can read",
    "keys file",
    "wrong",
    "can be read or written by others (mode 0644).",
    "chmod 600 {planted}",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(keys_file=sick.write(sick.shell.environment.pop("keys"), 0o644))


@FAULTS.add(
    "a key that rows need and nobody has",
    "needed keys",
    "wrong",
    "k1 is missing: 1 secret, 1 user's row, 10 unused backup codes cannot be read without it.",
    "twofold keys status",
)
def _(sick: Sick) -> None:
    sick.set(keys=generate_key("other"))


@FAULTS.add(
    "a setting outside its limits", "settings", "wrong", "TWOFOLD_DIGITS must be less than or equal to 8", on=FILE
)
def _(sick: Sick) -> None:
    sick.set(digits="9")


@FAULTS.add(
    "an address of support that would run a script",
    "settings",
    "wrong",
    "TWOFOLD_SUPPORT_URL is wrong: it begins with https://, http:// or mailto:",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(support_url="javascript:alert(1)")


@FAULTS.add(
    "settings that contradict each other",
    "settings",
    "wrong",
    "TWOFOLD_SUSPEND_AFTER is wrong: it has to be more than TWOFOLD_FREE_FAILURES, or nobody ever waits.",
    "docs/settings.md lists every setting.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(free_failures="5", suspend_after="5")


@FAULTS.add(
    "makers of passkeys that nobody is asked for",
    "settings",
    "wrong",
    "TWOFOLD_PASSKEY_ATTESTATION is wrong: `required` and TWOFOLD_PASSKEY_ROOTS go together",
    "docs/settings.md lists every setting.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(passkey_attestation="required")


@FAULTS.add(
    "roots of makers that are none",
    "settings",
    "wrong",
    "TWOFOLD_PASSKEY_ROOTS is wrong: it holds no certificate in PEM.",
    "docs/settings.md lists every setting.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(passkey_attestation="required", passkey_roots=sick.write("no certificate", 0o644))


@FAULTS.add(
    "a variable that was misspelt, in the environment or in the `.env` file",
    "variables",
    "wrong",
    "TWOFOLD_DEVICES_LIMIT is no setting, and what it says is ignored: did you mean TWOFOLD_DEVICE_LIMIT?",
    "Set TWOFOLD_DEVICE_LIMIT, or take TWOFOLD_DEVICES_LIMIT out.",
    on=FILE,
)
def _(sick: Sick) -> None:
    (sick.folder / ".env").write_text("TWOFOLD_DEVICES_LIMIT=0\n")


@FAULTS.add(
    "other variables that begin with `TWOFOLD_`",
    "variables",
    "note",
    "Not read, since there are no such settings: TWOFOLD_SERVICE_HOST.",
    "docs/settings.md lists every setting.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(service_host="192.0.2.7")


@FAULTS.add("a checkpoint key that is none", "checkpoint key", "wrong", "A private checkpoint key is one line", on=FILE)
def _(sick: Sick) -> None:
    sick.set(checkpoint_key="sekret")


@FAULTS.add(
    "a checkpoint key that others can read", "checkpoint key", "wrong", "(mode 0666).", "chmod 600 {planted}", on=FILE
)
def _(sick: Sick) -> None:
    sick.set(checkpoint_key_file=sick.write(signing.generate_key(), 0o666))


@FAULTS.add(
    "a Fernet key that is none", "Fernet keys", "wrong", "TWOFOLD_LEGACY_FERNET_KEY holds no Fernet key.", on=FILE
)
def _(sick: Sick) -> None:
    sick.set(legacy_fernet_key="sekret")


@FAULTS.add(
    "a `.env` file with secrets that others can read",
    "env file",
    "wrong",
    "can be read or written by others (mode 0644).",
    "chmod 600 {planted}",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.options += ["--env-file", sick.write(f"TWOFOLD_KEYS={sick.shell.environment.pop('keys')}\n", 0o644)]
