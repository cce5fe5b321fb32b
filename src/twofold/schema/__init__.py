"""What the revision makes, whether a database has it, and how to bring it there."""
