"""What is done for somebody, whichever door it was asked at: pages and JSON call these and differ in what they say.

A flow gets the `Site`, the session that its door has let in, and where the request came from. It raises what the
library raises.
"""
