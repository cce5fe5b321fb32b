"""Ready pages, and the same in JSON for programs: set-up, challenge, step-up and security, for any web framework.

`twofold.web.fastapi` mounts them. The doors themselves (`pages` behind `gate`, `api` behind `api.door`) know no
framework: a binding reads a request into a `Visit`, lets `serve` of the door answer it with a `Page`, and hands that
back. What is done is done in `flows`, whichever door asks.

Tests: `tests/web`, `tests/test_browser.py`.
"""
