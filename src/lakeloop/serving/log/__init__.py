"""The prediction log: every answer on its way to the lake, by way of the local disk."""
