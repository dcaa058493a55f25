"""What sentence-transformers' `CrossEncoder` makes of an output: it is said in config.json.

    ranking       sigmoid(z), the score that is served here
    regression    z itself

Without a word, `CrossEncoder` takes the sigmoid of every single output. A model that began as a
cross-encoder of another kind would keep that one's word.
"""

from typing import Any

from leanformer.tasks import TaskKind

FIELD = "sentence_transformers"
"""The field of config.json that `CrossEncoder` reads."""
_ACTIVATIONS = {
    "decisions": "torch.nn.modules.activation.Sigmoid",
    "numbers": "torch.nn.modules.linear.Identity",
}


def describe_activation(model: Any, about: TaskKind) -> None:
    """Say in the configuration of `model` what is made of its output, where it is a single number.

    Args:
        model: A transformers model of this task, changed in place.
        about: The task.
    """
    if about.output not in _ACTIVATIONS or model.config.num_labels != 1:
        return
    others = getattr(model.config, FIELD, None) or {}
    setattr(model.config, FIELD, {**others, "activation_fn": _ACTIVATIONS[about.output]})
