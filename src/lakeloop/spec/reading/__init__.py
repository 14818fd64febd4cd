"""From text to a `LoopSpec`, or to one error that lists all that is wrong: loop files, and one run's changes.

Nothing else in `spec` imports this package: the sections know nothing of files.
"""
