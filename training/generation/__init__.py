"""Language models that learn to write answers: prompts, the network, its training and its artifact."""
