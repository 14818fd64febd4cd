"""Tracking: what stages and training say about themselves, kept on disk and mirrored into W&B.

The journal is the truth and W&B a copy of it; nothing here waits for W&B. Import the submodules directly.
"""
