"""A model artifact as a function from texts to answers; used by evaluation and by the model server.

Only `tokenizers`, `pyarrow` and the engine are needed to answer: no torch, no transformers.
"""
