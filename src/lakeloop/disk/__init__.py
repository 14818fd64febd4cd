"""What lies on this machine's disk of Lakeloop: each kind of thing has an owner, a limit and a way to go.

A kind is a file in `kinds/` and a line of `registry`; looking at all of them and cleaning is `clean`.
"""
