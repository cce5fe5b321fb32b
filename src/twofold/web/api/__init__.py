"""The JSON door: the operations of the pages for a program, be it a page's script or an app on a phone.

It knows no framework. A binding reads a request into a `Visit`, lets `door.serve` answer it, and hands that back. What
is done is done by `twofold.web.flows`, as it is for the pages. See docs/api.md.

Tests: `tests/web/api`.
"""
