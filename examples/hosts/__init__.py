"""Three small applications with an Alembic history of their own, and three ways to have Twofold beside it."""
