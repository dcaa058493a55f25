"""What tells one pre-training from another, by content: kept in its folder, compared before work.

Texts are not in it: the folder of token ids compares them (`data.corpus`), and a checkpoint holds
the digest of its rows. How long a run may take, where it runs, what it samples and who draws its
curves may change from one part of it to the next.
"""

from typing import Any

from leanformer.core import codec
from leanformer.models.digest import content_of
from leanformer.pretrain.architectures import Kind
from leanformer.pretrain.recipe import Pretraining
from leanformer.train.checkpoints.identity import deciding

FORMAT = 1
_SAME = ("max_length", "packing", "batch_tokens", "mlm_probability", "load_best_at_end", "seed")
_READ = ("text", "documents", "split", "held_out")

WORDS = {
    "format": "the version of the run",
    "model": "the model that it begins with",
    "tokenizer": "the tokenizer",
    "train.optimizer.learning_rate": "train.learning_rate",
}
"""What a reader calls what differs."""


def identify(recipe: Pretraining, kind: Kind) -> dict[str, Any]:
    """The identity of a pre-training as `core.identity.claim` keeps it, JSON values.

    Args:
        recipe: What is done.
        kind: What the model is trained for.
    """
    corpus = codec.encode(recipe.corpus)
    begins = {
        "format": FORMAT,
        "kind": kind,
        "model": _named(recipe.model),
        "tokenizer": _named(recipe.tokenizer),
        "corpus": {name: corpus.get(name) for name in _READ},
        "train": deciding(recipe.train),
        **{name: getattr(recipe, name) for name in _SAME},
    }
    return {"begins": begins}


def _named(value: Any) -> Any:
    """A folder by what it holds, a name on the hub as it is, and what is to be made as asked."""
    return content_of(value) if isinstance(value, str) else codec.encode(value)
