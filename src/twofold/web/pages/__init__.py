"""What each page does, one function per page, free of any framework; one file for each group of pages.

A page function gets the `Site`, the `Visit`, and the session that its route demands; it returns a `Page`. The gate has
already seen to session, origin and form token, and turns what is raised here into pages.
"""
