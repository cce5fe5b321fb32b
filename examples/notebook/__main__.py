"""Run the notebook on one framework, with an account to sign in with: `python -m examples.notebook flask`."""

from __future__ import annotations

import argparse
import importlib
import tempfile

from pydantic import SecretStr

from examples.notebook import people
from twofold import MFA, Settings
from twofold.database import create_engine
from twofold.keyring import generate_key
from twofold.schema.commands import upgrade
from twofold.schema.history import PASSKEYS


def main() -> None:
    """Serve the notebook on http://localhost:8000 until Ctrl-C. Nothing is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework", choices=["fastapi", "fastapi_bearer", "starlette", "flask", "flask_login"])
    parser.add_argument("--port", type=int, default=8000)
    chosen = parser.parse_args()
    engine = create_engine(f"sqlite:///{tempfile.mkdtemp()}/notebook.db")
    people.Base.metadata.create_all(engine)
    people.register(engine, "ada@example.com", "correct horse battery")
    origin = f"http://localhost:{chosen.port}"
    settings = Settings(keys=SecretStr(generate_key()), issuer="Notebook", rp_id="localhost", origins=origin)
    upgrade(engine, settings)
    upgrade(engine, settings, history=PASSKEYS)
    module = importlib.import_module(f"examples.notebook.on_{chosen.framework}")
    # Some browsers keep no Secure cookie on plain http, not even on this machine.
    app = module.build(engine, MFA(engine, settings), has_tls=False)
    print(f"{origin}: sign in as ada@example.com, with `correct horse battery`.")
    if hasattr(app, "wsgi_app"):
        app.run(port=chosen.port)
    else:
        import uvicorn

        uvicorn.run(app, host="localhost", port=chosen.port, log_level="warning")


if __name__ == "__main__":
    main()
