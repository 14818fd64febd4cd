"""How a network is trained: one file a method, found by the kind of its section in `lakeloop.spec.methods`.

One line in `registry`. Methods that move weights by gradients say which (`Opener`); the loop that moves them
is `training.gradient`. What methods share whose adapters are merged into the weights in the end is `merged`,
what those share that leave a part in the encoder is `added`. Others train in a way of their own.
"""
