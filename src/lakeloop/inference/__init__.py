"""A model artifact as a function from texts to answers; used by evaluation, the server and batch scoring.

Only `tokenizers`, `pyarrow` and the engine are needed to answer: no torch, no transformers.
"""
