"""The torch side of the tasks: what a network's last layer must give, and how wrong it is.

One file a task, found by the same kind as its class in `lakeloop.tasks`; one line in `registry`.
"""
