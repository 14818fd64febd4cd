"""How a network is trained: one file a method, found by the kind of its section in `lakeloop.spec.methods`.

One line in `registry`. Methods that move weights by gradients say which (`Opener`); the loop that moves them
is `training.gradient`. Others train in a way of their own.
"""
