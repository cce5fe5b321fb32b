"""Ready pages: set-up, challenge, step-up and the security page, for any web framework.

`twofold.web.fastapi` mounts them. The pages themselves (`pages`, `gate`) know no framework: a binding reads a request
into a `Visit`, lets `gate.serve` answer it with a `Page`, and hands that back.

Tests: `tests/web`, `tests/test_browser.py`.
"""
