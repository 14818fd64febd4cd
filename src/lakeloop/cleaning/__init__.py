"""Cleaning of texts: named steps on Arrow batches, the same on the way into the mart and in front of a model.

Which steps a model was trained behind travels in its artifact, so that it is asked what it has learnt.
"""
