"""The audit log: what happened, in which order, and proof that nothing was altered."""
