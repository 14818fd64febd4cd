"""Traces the graph of the architecture that a training will leave, in a process of its own beside it.

Run by `training.ahead` as `python -m training.trace --config WORKDIR/config.json --parent PID`. The network
is made as the training makes it, and nothing is learnt: a graph has no weights. It ends with the training.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lakeloop.base_model import find_base_model
from training.gradient import Gradient
from training.graph import graph_of
from training.job_config import JobConfig, read_config
from training.methods.registry import method_of
from training.network import Network, load_encoder
from training.ranks import end_with_parent

_NICE = 10
"""What learns goes first."""


def main() -> None:
    """Leave the graph in the cache."""
    parser = argparse.ArgumentParser(description="Trace the graph of a training's architecture.")
    parser.add_argument("--config", type=Path, required=True, help="config.json of the training")
    parser.add_argument("--parent", type=int, required=True, help="its process")
    options = parser.parse_args()
    end_with_parent()
    if os.getppid() != options.parent:  # it ended while this began
        sys.exit(1)
    os.nice(_NICE)
    config = read_config(options.config)
    graph_of(network_of(config), config.cache / "graphs")


def network_of(config: JobConfig) -> Network:
    """A network of the architecture that the training of `config` leaves, on the CPU."""
    encoder = load_encoder(
        find_base_model(config.train.base_model, config.base_folder), config.train.max_tokens
    )
    network, method = Network(encoder, 1), method_of(config.candidate.method)
    if isinstance(method, Gradient):
        method.opener.open(network)
        method.opener.close(network)
    return network.eval()


if __name__ == "__main__":
    main()
