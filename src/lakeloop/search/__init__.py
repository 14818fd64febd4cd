"""Searches: which values a trial gets, what became of all trials, and when there is no use in going on."""
