"""Applications that use Twofold."""
