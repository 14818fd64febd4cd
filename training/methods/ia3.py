"""A factor for each output of each linear layer (IA3, Liu et al. 2022); merged into the weights."""

from __future__ import annotations

from peft import IA3Config

from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.base import Method
from training.methods.merged import ALL, Merged


def ia3(_section: spec.Ia3) -> Method:
    # With no layer called a feed-forward one, outputs get factors everywhere: names differ too much between
    # architectures to tell those layers apart.
    return Gradient(Merged(IA3Config(target_modules=ALL, feedforward_modules=[])))
