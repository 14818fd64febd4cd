"""Other servers of the same model, each run by an environment of its own: nothing here knows Lakeloop."""
