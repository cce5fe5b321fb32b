"""The self-hosted service, for applications in any language."""
