"""The sample's routes: register, sign in, a page that needs it, change the password, sign out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from examples.sample import accounts, sessions
from examples.sample.door import Fields, OwnForm, ProvenSession, SignedInSession, Stranger
from examples.sample.host import session_id, set_session
from examples.sample.rendering import go, page
from examples.sample.state import sample
from twofold.web.fastapi import device_token, keep_device

routes = APIRouter()

# Whoever changed the password and lost the answer on the way reads it as well.
_ENDED = "Your session has ended, as all of them do when the password or a factor is changed. Sign in again."


def log_in(request: Request, account: accounts.Account) -> Response:
    """What follows a right password: a challenge, or, without a factor or on a trusted device, the session."""
    engine, mfa = sample(request).engine, sample(request).mfa
    # The epoch first: whatever changes while somebody signs in ends that session again.
    epoch = mfa.status(account.user_id).epoch
    token = device_token(mfa, request, account.user_id)
    challenge = mfa.challenge(account.user_id, device_token=token, request=request)
    sessions.end(engine, session_id(request))
    if challenge:
        response = go("/mfa/challenge")
        set_session(request, response, sessions.begin(engine, account, "password", epoch, challenge=challenge.token))
        return response
    response = go("/")
    how: sessions.How = "trusted device" if challenge.because == "trusted_device" else "password"
    set_session(request, response, sessions.begin(engine, account, how, epoch))
    keep_device(request, response, challenge.device)
    return response


@routes.get("/")
def home(request: Request, me: SignedInSession) -> Response:
    """The page that needs every step."""
    return page(request, "home.html", me=me, is_enrolled=sample(request).mfa.status(me.user_id).is_enrolled)


@routes.get("/register", dependencies=[Stranger])
def register_form(request: Request) -> Response:
    """Ask for an address and a password."""
    return page(request, "register.html")


@routes.post("/register", dependencies=[Stranger])
def register(request: Request, fields: Fields) -> Response:
    """Make an account and sign in with it."""
    email = fields.get("email", "")
    try:
        account = accounts.register(sample(request).engine, email, fields.get("password", ""))
    except accounts.Refused as refused:
        return page(request, "register.html", status=400, problem=str(refused), email=email[:254])
    return log_in(request, account)


@routes.get("/login", dependencies=[Stranger])
def login_form(request: Request) -> Response:
    """Ask for the first factor."""
    has_ended = sessions.has_ended(sample(request).engine, session_id(request))
    return page(request, "login.html", problem=_ENDED if has_ended else None)


@routes.post("/login", dependencies=[Stranger])
def login(request: Request, fields: Fields) -> Response:
    """Check the first factor. Whether an address is known stays untold (ASVS 6.3.8)."""
    email = fields.get("email", "")
    account = accounts.check(sample(request).engine, email, fields.get("password", ""))
    if account is None:
        problem = "Address and password do not belong together."
        return page(request, "login.html", status=400, problem=problem, email=email[:254])
    return log_in(request, account)


@routes.get("/password")
def password_form(request: Request, me: ProvenSession) -> Response:
    """Ask for another password."""
    return page(request, "password.html", me=me)


@routes.post("/password")
def password(request: Request, fields: Fields, me: ProvenSession) -> Response:
    """Change the password, end every session, and begin this one anew."""
    engine = sample(request).engine
    try:
        checked = accounts.check(engine, me.email, fields.get("current", ""))
        if checked is None or checked.user_id != me.user_id:
            raise accounts.Refused("The current password is not right.")
        hashed = accounts.hashed_password(fields.get("password", ""))
        # The password changes first: from then on nobody comes in by the old one, and what did come in is ended.
        account = accounts.change_password(engine, checked, hashed)
    except accounts.Refused as refused:
        return page(request, "password.html", status=400, me=me, problem=str(refused))
    mfa = sample(request).mfa
    mfa.password_changed(me.user_id, request=request)
    sessions.end_all(engine, me.user_id)
    response = go("/")
    set_session(
        request, response, sessions.begin(engine, account, me.how, mfa.status(me.user_id).epoch, proof=me.proof)
    )
    return response


@routes.post("/sign-out", dependencies=[OwnForm])
async def sign_out(request: Request) -> Response:
    """End the session."""
    response = go("/login")
    await sample(request).host.log_out(request, response)
    return response
