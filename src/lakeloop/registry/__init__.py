"""The registry: model versions, the aliases that point at them, and the history of both."""
