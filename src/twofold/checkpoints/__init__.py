"""Signed statements of where every user's log ended, kept away from the database."""
