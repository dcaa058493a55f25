"""How an embedding model turns a text into a vector, as a plain field of its configuration.

A transformers configuration keeps fields that it does not know, so the description travels with the
model through pruning, distillation, quantization, saving and loading, none of which know it:

    "sentence_embedding": {"pooling": {"mode": "cls", "normalize": true}, "prompts": {}, …}

`load_model(folder, "embedding")` takes it from the files of sentence-transformers
(`leanformer.models.io.read_modules`) and `save_model` writes it back as such files
(`leanformer.models.io.write_modules`). Where a folder has both, the files count. A model that is
loaded with any other head has no description, so that a classifier or a masked language model does
not become a sentence-transformers folder by accident.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from leanformer.core import codec
from leanformer.numerics.pooling import Pooling, pool

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]

FIELD = "sentence_embedding"
"""The field of config.json that says how a text becomes a vector."""


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """How a text becomes a vector, and how vectors are compared."""

    pooling: Pooling = field(default_factory=Pooling)
    """How the vector is made of hidden states."""
    prompts: dict[str, str] = field(default_factory=dict)
    """Texts that may be put before a text, by name."""
    default_prompt_name: str = ""
    """The prompt that is put before every text; "" = none."""
    similarity: Similarity = "cosine"
    """How vectors are meant to be compared."""
    widths: tuple[int, ...] = ()
    """Coordinates of the prefixes that were trained to be vectors too, rising; () = none."""
    declared: bool = True
    """Whether the checkpoint says so; False for a plain encoder, which is read as this default."""

    def __post_init__(self) -> None:
        if self.default_prompt_name and self.default_prompt_name not in self.prompts:
            known = ", ".join(sorted(self.prompts)) or "none"
            raise ValueError(
                f"default_prompt_name: {self.default_prompt_name!r} is not a prompt; "
                f"prompts: {known}"
            )
        rising = sorted({one for one in self.widths if one > 0})
        if list(self.widths) != rising:
            raise ValueError(
                f"widths: {list(self.widths)} are not positive numbers that rise, such as [64, 128]"
            )

    @property
    def prompt(self) -> str:
        """What is put before every text; "" = nothing."""
        return self.prompts.get(self.default_prompt_name, "")

    @property
    def lengths_count(self) -> bool:
        """Whether the vectors' lengths decide how similar two texts are."""
        return not self.pooling.normalize and self.similarity != "cosine"


def embedding_of(model: Any) -> Embedding:
    """The description that `model` carries; the mean, normalized, where it carries none.

    Raises:
        ValueError: The field of its configuration is damaged.
    """
    described = getattr(model.config, FIELD, None)
    if described is None:
        return Embedding(declared=False)
    found: Embedding = codec.decode(Embedding, described, f"config.json: {FIELD}")
    return found


def without_widths(embedding: Embedding) -> Embedding:
    """The description of a model whose coordinates are others, so that no prefix is a vector."""
    return replace(embedding, widths=())


def describe_embedding(
    model: Any, tokenizer: Any, embedding: Embedding | None, max_length: int | None = None
) -> None:
    """Make `embedding` the description of `model`, in place; None = it makes no embeddings.

    Args:
        model: A transformers model.
        tokenizer: Its tokenizer, which is told the default prompt: `leanformer.text.reader_of`
            puts it before every text.
        embedding: How a text becomes a vector.
        max_length: Tokens that are read of a text, at most; None = as many as the tokenizer says.
    """
    if max_length is not None:
        tokenizer.model_max_length = min(tokenizer.model_max_length, max_length)
    tokenizer.prompt = "" if embedding is None else embedding.prompt
    if embedding is not None:
        setattr(model.config, FIELD, codec.encode(embedding))
    elif hasattr(model.config, FIELD):
        delattr(model.config, FIELD)


def text_vectors(model: Any, hidden_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """The vectors [B, D] that `model` makes of its last hidden states, by its own description."""
    return pool(hidden_BTD, mask_BT, embedding_of(model).pooling)
