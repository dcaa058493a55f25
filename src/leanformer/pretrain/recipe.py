"""The recipe of a pre-training: a model, a tokenizer, a corpus, and how to train.

    model = { architecture = "gpt2", layers = 6, width = 384, heads = 6 }
    tokenizer = { train = "bpe", vocabulary = 8000 }

    [corpus]
    paths = ["wiki/"]
    held_out = 0.01

    [train]
    epochs = 1
    learning_rate = 5e-4
    evaluations = 10

`model` and `tokenizer` may also be folders or names on the hub, to go on from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from leanformer.core import codec
from leanformer.core.ranges import Count, Index, InnerShare, Length, Positive, Seed, ranged
from leanformer.core.storage.toml_file import read_recipe
from leanformer.data.corpus import Corpus
from leanformer.pretrain.architectures import Architecture, Kind
from leanformer.train.schedules import CosineDecay
from leanformer.train.setup import TrainSetup

_LENGTH = 512


@dataclass(frozen=True, kw_only=True)
@ranged
class NewTokenizer:
    """A tokenizer that is trained on the corpus."""

    train: Literal["bpe", "wordpiece", "unigram"] | None = None
    """How pieces are found; None = BPE for causal models, WordPiece for masked ones."""
    vocabulary: Count = 16_000
    """Tokens at most, special ones included."""
    lowercase: bool | None = None
    """Whether texts become lower case, without accents; None = with WordPiece."""
    characters: Count = 2**28
    """Characters of the corpus that are read for it, from the first on."""


@dataclass(frozen=True, kw_only=True)
@ranged
class Samples:
    """Texts that a causal model writes at each evaluation and at the end."""

    prompts: tuple[str, ...] = ()
    """How they begin; () = as three held-out documents do."""
    tokens: Index = 48
    """Tokens of each, at most; 0 = none are written."""
    temperature: Positive = 0.8
    """Below 1, likely tokens become likelier."""
    top_k: Count = 50
    """Only so many of the likeliest tokens are drawn from."""


def usual_training() -> TrainSetup:
    """How a pre-training is trained where its recipe has no [train]."""
    return TrainSetup(epochs=1.0, learning_rate=5e-4, evaluations=10, schedule=CosineDecay())


@dataclass(frozen=True, kw_only=True)
@ranged
class Pretraining:
    """What is trained, on which texts, and how."""

    corpus: Corpus
    """Where the texts are; `held_out` of them are evaluated on."""
    model: str | Architecture = field(default_factory=Architecture)
    """Folder or hub name of a language model to go on from, or one to be made."""
    kind: Kind | None = None
    """"masked-lm" or "causal-lm"; None = what the model is for."""
    tokenizer: str | NewTokenizer | None = None
    """Folder or hub name of a tokenizer, or one to be trained; None = that of the model, or for a
    new model a trained one."""
    max_length: Length | None = None
    """Tokens of a row; None = 512, or fewer where the model reads fewer."""
    packing: Literal["auto", "packed", "grouped"] = "auto"
    """"packed": documents share rows and do not see each other; "grouped": each has rows of its
    own, and a batch holds rows of like length; "auto": packed where the model keeps documents
    apart."""
    batch_tokens: Count | None = None
    """Targets of an optimizer step, in place of `train.batch_size` rows."""
    mlm_probability: InnerShare = 0.15
    """Probability of masking a token, in a masked language model."""
    train: TrainSetup = field(default_factory=usual_training)
    """How to train."""
    load_best_at_end: bool = False
    """Whether the model ends with the weights of the best evaluation, or with the last ones."""
    samples: Samples = field(default_factory=Samples)
    """Texts that a causal model writes."""
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] | None = None
    """Where curves go beside `events.jsonl`; None = TensorBoard where it is installed."""
    log_steps: Count = 10
    """Optimizer steps between two lines of `events.jsonl`."""
    name: str = "model"
    """How trackers call the run."""
    seed: Seed = 0
    """Decides everything random."""
    device: str = "auto"
    """Where it is trained: "auto" = the accelerator where there is one, "cpu", "cuda", "mps"."""

    @property
    def row_length(self) -> int:
        """Tokens of a row, where the model has as many positions."""
        own = self.model.max_length if isinstance(self.model, Architecture) else None
        return self.max_length or own or _LENGTH

    def __post_init__(self) -> None:
        if self.batch_tokens is not None and self.train.base_batch_size is not None:
            raise ValueError(
                "batch_tokens: train.base_batch_size brings a learning rate to train.batch_size "
                "rows, which batch_tokens replaces; leave one of the two out"
            )
        if not isinstance(self.model, Architecture):
            if isinstance(self.tokenizer, NewTokenizer):
                raise ValueError(
                    "tokenizer: a new one does not fit a model that is trained already; leave it "
                    "out to go on with the model's own, or make a new model: "
                    'model = { architecture = "gpt2" }'
                )
            return
        room = self.model.max_length
        if room is not None and self.max_length is not None and self.max_length > room:
            raise ValueError(
                f"max_length: rows of {self.max_length} tokens do not fit model.max_length = "
                f"{room}; set it to {room} or less"
            )


def read(path: Path, settings: Sequence[str] = ()) -> Pretraining:
    """The recipe in a TOML file, with `path.to.field=value` settings applied.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not TOML, or something in it does not fit; the message names the
            place.
    """
    return described(read_recipe(path), settings)


def described(table: dict[str, Any], settings: Sequence[str] = ()) -> Pretraining:
    """The recipe in a decoded TOML table, which is changed by `settings`.

    Raises:
        ValueError: Something does not fit; the message names the place.
    """
    for setting in settings:
        codec.override(table, setting)
    recipe: Pretraining = codec.decode(Pretraining, table)
    return recipe
