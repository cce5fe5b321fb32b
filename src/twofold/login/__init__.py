"""The story of a login, and what begins and ends a user's factors."""
