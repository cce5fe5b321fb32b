"""An application behind a real web server, for what a test over the application alone cannot show."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import uvicorn
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """The application behind a server of its kind: a WSGI one in threads, or uvicorn.

    Without a port any that is free is taken. uvicorn is as talkative as it can be without its logs of every byte.
    """
    if hasattr(app, "wsgi_app"):
        with _in_threads(app, port) as url:
            yield url
        return
    with socket.create_server(("127.0.0.1", port)) as listening:
        config = uvicorn.Config(app, log_config=None, log_level="debug", access_log=True, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://localhost:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def _in_threads(app: Any, port: int) -> Iterator[str]:
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
