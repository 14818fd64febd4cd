"""The command `lakeloop`: one small module for each group of verbs, put together in `main`.

A verb reads its arguments, calls one function of the library and shows what came back; nothing is decided
here. Everything heavy is imported inside the verbs, so that help is there at once.
"""
