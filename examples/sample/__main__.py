"""Run the sample: `python -m examples.sample [--port 8000]`."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from pydantic import ValidationError

from examples.sample import tables
from examples.sample.app import build
from twofold import MFAError, Settings
from twofold.database import create_engine
from twofold.errors import ConfigurationError
from twofold.keyring import generate_key
from twofold.schema.commands import upgrade
from twofold.schema.history import PASSKEYS

if TYPE_CHECKING:
    import sqlalchemy as sa


def main() -> int:
    """Migrate, serve until interrupted, and say in one sentence what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m examples.sample", description="The sample application.")
    parser.add_argument("--port", type=int, default=os.environ.get("TWOFOLD_SAMPLE_PORT", "8000"))
    port: int = parser.parse_args().port
    try:
        settings = Settings()
        engine = create_engine(settings.database_url.get_secret_value())
        settings = with_passkeys(with_keys(called_sample(settings), engine), port)
        upgrade(engine, settings)
        upgrade(engine, settings, history=PASSKEYS)
        tables.create(engine)
        app = build(engine, settings)
        listener = listen(port)
    except ValidationError as error:
        names = ", ".join(f"TWOFOLD_{str(item['loc'][0]).upper()}" for item in error.errors() if item["loc"])
        print(f"These settings are not right: {names}.", file=sys.stderr)
        return 1
    except MFAError as error:
        print(error, file=sys.stderr)
        return 1
    logging.getLogger("uvicorn.access").addFilter(without_query)
    config = uvicorn.Config(app, server_header=False, log_level="info", proxy_headers=False)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    print(f"The sample is on http://localhost:{port} (stop it with Ctrl-C).", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def called_sample(settings: Settings) -> Settings:
    """Give the deployment a name where it has none, so that keys which somebody copies from here open nothing else."""
    return settings if settings.deployment else settings.model_copy(update={"deployment": "sample"})


def with_passkeys(settings: Settings, port: int) -> Settings:
    """Let passkeys belong to this machine where no other domain is set. Browsers take plain http there."""
    if settings.public_url or settings.rp_id or settings.origins:
        return settings
    return settings.model_copy(update={"rp_id": "localhost", "origins": f"http://localhost:{port}"})


def with_keys(settings: Settings, engine: sa.Engine) -> Settings:
    """Where no key is configured, keep one beside the SQLite file, for its owner's eyes alone."""
    if settings.keys is not None or settings.keys_file is not None:
        return settings
    if engine.dialect.name != "sqlite" or not engine.url.database:
        raise ConfigurationError("There are no keys; make one with `twofold keys generate` and set TWOFOLD_KEYS.")
    file = Path(engine.url.database).with_suffix(".keys")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigurationError(f"The key file {file} cannot be made ({type(error).__name__}).") from None
    else:
        with os.fdopen(handle, "w", encoding="ascii") as opened:
            opened.write(generate_key() + "\n")
        print(f"No keys were configured, so one was made in {file}. Keep it: without it no code can be checked.")
    return settings.model_copy(update={"keys_file": file})


def listen(port: int) -> socket.socket:
    """Take the port before anything is said about it."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OverflowError:
        raise ConfigurationError(f"{port} is not a port; give one from 1 to 65535.") from None
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise ConfigurationError(f"Port {port} {why}; choose another with --port or TWOFOLD_SAMPLE_PORT.") from None


def without_query(record: logging.LogRecord) -> bool:
    """Leave the query out of the access log."""
    if isinstance(record.args, tuple) and len(record.args) == 5:
        client, method, path, version, status = record.args
        record.args = (client, method, str(path).partition("?")[0], version, status)
    return True


if __name__ == "__main__":
    raise SystemExit(main())
