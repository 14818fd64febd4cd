"""A loop file proposed from data: what is in some files, what each column is, which of them play which part.

Nothing is decided here that a person cannot read in the file and change. Samples are bounded.
"""
