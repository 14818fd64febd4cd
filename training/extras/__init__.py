"""What a training can do beside its method: off by default, each by its key of section `train`.

One file each; what its keys are is `lakeloop.spec.extras`.
"""
