"""The sample's pages, in the look of Twofold's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Response

from examples.sample import accounts, sessions
from examples.sample.host import session_id, set_session
from examples.sample.state import sample
from twofold.web.fastapi import form_token
from twofold.web.page import HEADERS
from twofold.web.rendering import environment

if TYPE_CHECKING:
    from fastapi import Request

_templates = environment("examples.sample")


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    """Render a page. A form is bound to a session id, so whoever has none gets one that means nothing yet."""
    known = session_id(request)
    bound_to = known or sessions.new_id()
    common: dict[str, Any] = {
        "product": sample(request).product,
        "base": "/mfa",
        "home_url": "/",
        "csrf": form_token(sample(request).mfa, bound_to),
        "shortest": accounts.SHORTEST_PASSWORD,
        "problem": None,
        "email": "",
    }
    body = _templates.get_template(template).render({**common, **context})
    response = Response(body, status, dict(HEADERS))
    if known is None:
        set_session(request, response, bound_to)
    return response


def error(request: Request, status: int, title: str, sentence: str) -> Response:
    """Say what happened."""
    return page(request, "error.html", status=status, title=title, sentence=sentence, action=None)


def go(location: str) -> Response:
    """Go on by GET."""
    return Response(status_code=303, headers={**HEADERS, "Location": location})
