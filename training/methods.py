"""How a fine-tune moves weights: which are trainable, and what must be done before and after.

`top_layers` trains the last layers, `lora` low-rank adapters on all linear layers (merged into the weights
afterwards), `full` everything but the table of word vectors, which gains nothing and holds half of a small
model. The head is always trained. The loop that trains is `finetune`.
"""

from __future__ import annotations

from typing import cast

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from lakeloop.errors import ConfigurationError
from lakeloop.spec.models import Train
from training.model import TextClassifier, layers_of


def open_weights(model: TextClassifier, train: Train) -> int:
    """Make trainable what the method trains; how many layers, counted from the input, stay as they are.

    Raises:
        ConfigurationError: the method does not fit the encoder.
    """
    model.encoder.requires_grad_(False)
    if train.method == "top_layers":
        layers = layers_of(model.encoder)
        if train.top_layers > len(layers):
            raise ConfigurationError(
                "base model has fewer layers",
                where="train.top_layers",
                expected=f"at most {len(layers)}",
                found=str(train.top_layers),
            )
        layers[-train.top_layers :].requires_grad_(True)
        return len(layers) - train.top_layers
    if train.method == "lora":
        adapters = LoraConfig(
            r=train.lora_rank, lora_alpha=2 * train.lora_rank, lora_dropout=0.05, target_modules="all-linear"
        )
        model.encoder = cast("PreTrainedModel", get_peft_model(model.encoder, adapters))
    else:
        model.encoder.requires_grad_(True)
        model.encoder.get_input_embeddings().requires_grad_(False)
    return 0


def close_weights(model: TextClassifier) -> None:
    """Leave a plain encoder: merge adapters, if there are any, into the weights."""
    if isinstance(model.encoder, PeftModel):
        model.encoder = cast("PreTrainedModel", model.encoder.merge_and_unload())
