"""`twofold serve`: the self-hosted service on one address, once everything that it stands on is there."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from twofold.cli.terminal import Terminal, command, noun
from twofold.errors import ConfigurationError

app = noun("serve")


@command(app, "twofold serve", "twofold serve --host 0.0.0.0 --port 8080   # behind a proxy that speaks TLS")
def serve(
    terminal: Terminal,
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
) -> None:
    """Run the self-hosted service: /health/live and /health/ready, and on / a page that says what runs here.

    The hosted pages and the HTTP API come with a later release of the service; until then, use the library.

    It does not start without keys, nor on tables that are missing or differ. Ctrl-C stops it. Put TLS in front.
    """
    try:
        import uvicorn

        from twofold.service.app import create_app
        from twofold.service.readiness import Readiness
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"The module {error.name} is not installed: pip install 'twofold[service]'.") from None
    readiness = Readiness(terminal.impatient_engine, terminal.settings)
    readiness.require()
    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listening.getsockname()[1]}"
    options = uvicorn.Config(
        create_app(readiness), log_level="warning", access_log=False, server_header=False, lifespan="off"
    )
    terminal.answer({"listening": url}, f"Twofold listens on {url} (Ctrl-C stops it).")
    with listening:
        uvicorn.Server(options).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"Nothing can listen on {host} port {port}: {error.strerror or 'no such address'}."
        ) from None
