"""Take the pictures of the docs anew: `python -m tests.pictures` writes docs/pictures/*.png.

Each is a state of `tests/atlas.py` or `tests/atlas_of_passkeys.py`, with an ordinary address and an ordinary browser.
"""

from __future__ import annotations

import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from PIL import Image

from examples.sample import tables
from examples.sample.app import build
from tests.atlas import Person, World
from tests.atlas_of_passkeys import STATES
from tests.chrome import chrome, come_to_rest
from tests.people import Clock, plain_settings
from tests.served import served
from tests.servers import free_port
from twofold import MFA
from twofold.database import create_engine
from twofold.keyring import generate_key
from twofold.schema.commands import upgrade
from twofold.schema.history import PASSKEYS

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"
PICTURES: dict[str, tuple[str, str, Literal["light", "dark"], int]] = {
    "set-up": ("setup-to-scan", "en", "light", 900),
    "set-up-phone": ("setup-to-scan", "de", "dark", 375),
    "backup-codes": ("backup-codes-new", "en", "light", 900),
    "challenge": ("challenge-asked", "en", "light", 900),
    "challenge-arabic": ("challenge-asked", "ar", "dark", 375),
    "wrong-code": ("challenge-wrong", "fr", "light", 375),
    "wait": ("challenge-in-a-wait", "en", "dark", 375),
    "backup-code": ("challenge-by-backup-code", "ja", "light", 375),
    "step-up": ("reverify-asked", "es", "dark", 375),
    "challenge-passkey": ("challenge-by-passkey-or-code", "en", "light", 900),
    "security-passkeys": ("security-with-app-and-passkeys", "en", "light", 900),
    "security": ("security-with-devices", "en", "light", 900),
}
"""The state, the language, the scheme and the width of each."""


def take(name: str) -> bytes:
    """Take one picture, as a PNG of few colours."""
    state, language, scheme, width = PICTURES[name]
    with tempfile.TemporaryDirectory() as folder, chrome() as browser:
        engine = create_engine(f"sqlite:///{folder}/pictures.db")
        port = free_port()
        # Where no passkeys are shown, the pages are those of an application that has none.
        domain = {"rp_id": "localhost", "origins": f"http://localhost:{port}"} if "passkey" in state else {}
        settings = plain_settings(keys=generate_key("k1"), issuer="Acme", **domain)
        clock = Clock(datetime.now(UTC))
        upgrade(engine, settings)
        if domain:
            upgrade(engine, settings, history=PASSKEYS)
        tables.create(engine)
        with served(build(engine, settings, clock=clock), port) as url:
            page = browser.new_page(
                locale=language, color_scheme=scheme, viewport={"width": width, "height": 600}, device_scale_factor=1.5
            )
            world = World(url, engine, MFA(engine, settings, clock=clock), clock, "ada@example.com")
            STATES[state](Person(world, page, *world.newcomer()))
            come_to_rest(page)
            shot = page.screenshot(full_page=True)
        engine.dispose()
    small = io.BytesIO()
    with Image.open(io.BytesIO(shot)) as image:
        image.convert("RGB").quantize(128).save(small, "PNG", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for chosen in PICTURES:
        (FOLDER / f"{chosen}.png").write_bytes(take(chosen))
