"""The three pages of the notebook, in as little HTML as will do."""

from __future__ import annotations

from html import escape

LOGIN = """<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Sign in</title>
<h1>Notebook</h1><form method="post" action="/login">
<p><label>E-mail <input name="email" type="email" autocomplete="username" required></label>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<p><button>Sign in</button></form></html>"""


def home(email: str, note: str) -> str:
    """The page of whoever is signed in."""
    return f"""<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Notebook</title>
<h1>Notebook of {escape(email)}</h1><form method="post" action="/note">
<p><label>Note <input name="note" value="{escape(note)}"></label> <button>Keep</button></form>
<p><a href="/export">Take it away</a> · <a href="/mfa/security">Two-step sign-in</a>
<form method="post" action="/sign-out"><button>Sign out</button></form></html>"""
