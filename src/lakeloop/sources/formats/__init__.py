"""How the bytes of a file become rows: one module a format, and their list in `registry`."""
