"""What identifies a person in a text, by its shape and its check digits: one module a kind, see `registry`.

Names and streets have no shape: they are for a model of a user, which another loop may train.
"""
