"""The sample application, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response

from examples.sample.door import Elsewhere
from examples.sample.host import SampleHost
from examples.sample.rendering import error, go
from examples.sample.routes import routes
from examples.sample.state import Sample
from twofold import MFA, MFAError, Settings
from twofold.web.fastapi import BadForm, router
from twofold.web.forms import Insecure

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import sqlalchemy as sa


def build(engine: sa.Engine, settings: Settings, *, clock: Callable[[], datetime] | None = None) -> FastAPI:
    """Make the application over a database that is migrated. `clock` is that of the second factor, for tests."""
    app = FastAPI(title=settings.issuer, openapi_url=None, redirect_slashes=False)
    mfa = MFA(engine, settings, clock=clock)
    host = SampleHost(engine, mfa)
    app.state.sample = Sample(engine, mfa, host, settings.issuer, settings.public_url)
    app.include_router(routes)
    app.include_router(router(mfa, host, destinations={"password": "/password"}), prefix="/mfa")

    @app.exception_handler(Elsewhere)
    def elsewhere(_request: Request, problem: Elsewhere) -> Response:
        return go(problem.location)

    @app.exception_handler(BadForm)
    def bad_form(request: Request, bad: BadForm) -> Response:
        advice = "" if isinstance(bad, Insecure) else " Go back, reload the page and try again."
        return error(request, bad.status, "That did not work", f"{bad}{advice}")

    @app.exception_handler(MFAError)
    def outage(request: Request, _problem: MFAError) -> Response:
        # Without an answer about the second factor nobody gets in.
        return error(request, 503, "We will be back soon", "Nothing was changed. Try again in a minute.")

    return app
