"""A small application with a login of its own, and Twofold beside it: `python -m examples.sample`.

Accounts, passwords and sessions live here and only here. What a real one has more: e-mail that is confirmed, a way back
for forgotten passwords, and a limit on password guesses.
"""
