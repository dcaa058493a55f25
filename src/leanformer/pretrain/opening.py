"""The model, the tokenizer and the corpus of a pre-training: checked, then made or opened."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leanformer.core.machine.device import find_device
from leanformer.core.storage.files import recover_folder
from leanformer.data.corpus import (
    CorpusProgress,
    Packing,
    PreparedCorpus,
    open_prepared,
    prepare,
    train_tokenizer,
)
from leanformer.data.corpus.reading import Watch
from leanformer.data.corpus.texts import sources
from leanformer.models.io.load import folder_of, has_head, load_model
from leanformer.models.io.tokenizer_files import fit_tokenizer, load_tokenizer, usable_positions
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.pretrain.architectures import Architecture, Kind, build
from leanformer.pretrain.recipe import NewTokenizer, Pretraining
from leanformer.pretrain.trackers import chosen
from leanformer.train.corpus_batches import packing_for
from leanformer.train.loss import Loss, Supervised
from leanformer.train.masking import masking
from leanformer.train.ranks import count_ranks, lead
from leanformer.train.steps.pretrain import MaskedLanguage

TOKENIZER, CORPUS = "tokenizer", "corpus"
"""Where a trained tokenizer and the token ids are, within the folder of a run."""
_HEADS = {"masked-lm": "masked", "causal-lm": "causal"}


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a training works with.

    Attributes:
        kind: What the model is trained for.
        model: On its device.
        tokenizer: Its tokenizer.
        prepared: The rows that it is trained on.
    """

    kind: Kind
    model: Any
    tokenizer: Any
    prepared: PreparedCorpus


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What is known of a pre-training that can be done.

    Attributes:
        kind: What the model is trained for.
        own: The model to go on from and its tokenizer; None = one is made.
    """

    kind: Kind
    own: tuple[Any, Any] | None


def check(recipe: Pretraining) -> Checked:
    """Refuse what cannot be done, before anything is written.

    Raises:
        OSError: A file, a folder or a name on the hub is not there.
        ValueError: The device, the number of ranks, the model, its head or a tracker do not fit.
    """
    find_device(recipe.device)
    recipe.train.parallel.fitted(count_ranks())
    chosen(recipe.report_to)
    sources(recipe.corpus)
    kind, own = _kind(recipe), None
    if isinstance(recipe.model, Architecture):
        # a small one of the kind: whether it can be built, and keeps packed documents apart
        tried = replace(recipe.model, layers=min(2, recipe.model.shape[0]))
        tokenizer = tiny_tokenizer("bert")
        model = build(tried, kind, tokenizer, recipe.row_length, 0)
        if isinstance(recipe.tokenizer, str):
            load_tokenizer(_named(recipe.tokenizer))
    else:
        model, tokenizer = own = _own_model(recipe, kind)
        _row_length(recipe, model)
    if recipe.packing == "packed":
        packing_for(model, kind)
    _try_savers(recipe, kind, model.to(find_device(recipe.device)), tokenizer)
    return Checked(kind=kind, own=own)


def _try_savers(recipe: Pretraining, kind: Kind, model: Any, tokenizer: Any) -> None:
    """Refuse memory savers that the model, the device or the loss do not allow."""
    loss = loss_for(kind, tokenizer, recipe.mlm_probability)
    with ExitStack() as saving:
        for saver in recipe.train.memory:
            saving.enter_context(saver.apply(model, loss))


def loss_for(kind: Kind, tokenizer: Any, mlm_probability: float) -> Loss:
    """What a pre-training of this kind minimizes."""
    if kind == "causal-lm":
        return Supervised(kind)
    return MaskedLanguage(masking(tokenizer, mlm_probability))


def _kind(recipe: Pretraining) -> Kind:
    if isinstance(recipe.model, Architecture):
        return recipe.kind or recipe.model.kind
    kinds: tuple[Kind, ...] = ("masked-lm", "causal-lm") if recipe.kind is None else (recipe.kind,)
    for kind in kinds:
        if has_head(recipe.model, _HEADS[kind]):  # type: ignore[arg-type]
            return kind
    raise ValueError(
        f"model: {recipe.model} has no head for {' or '.join(kinds)}; name a language model, or "
        'make one: model = { architecture = "bert" }'
    )


def open_all(
    recipe: Pretraining, checked: Checked, folder: Path, watch: Watch | None = None
) -> Opened:
    """Make what is not there yet, and open all; of several ranks the first one makes it.

    Args:
        recipe: What is asked for.
        checked: What `check` gave.
        folder: Where a trained tokenizer and the corpus are kept.
        watch: Told of the progress of reading the corpus.

    Raises:
        OSError: A file is not there, or the disk is full.
        ValueError: The folder holds another corpus, or the parts do not fit together.
    """
    device, kind = find_device(recipe.device), checked.kind
    model, tokenizer = checked.own or _new_model(recipe, kind, folder)
    length = _row_length(recipe, model)
    asked: Packing = "grouped" if recipe.packing == "grouped" else "packed"
    packing = packing_for(model, kind, asked, else_grouped=recipe.packing == "auto")
    rows: dict[str, Any] = {"max_length": length, "packing": packing}
    place = folder / CORPUS

    def tokenize() -> None:
        prepare(recipe.corpus, tokenizer, place, kind=kind, watch=watch, **rows)

    lead(tokenize)
    prepared = open_prepared(place, tokenizer, **rows)
    return Opened(kind=kind, model=model.to(device), tokenizer=tokenizer, prepared=prepared)


def _new_model(recipe: Pretraining, kind: Kind, folder: Path) -> tuple[Any, Any]:
    """A model that is made, and its tokenizer."""
    assert isinstance(recipe.model, Architecture), "another one was opened"
    place = _tokenizer(recipe, kind, folder)
    tokenizer = load_tokenizer(place)
    model = build(recipe.model, kind, tokenizer, recipe.row_length, recipe.seed)
    tokenizer.model_max_length = usable_positions(model) or recipe.row_length
    fit_tokenizer(tokenizer, model, place)
    return model, tokenizer


def _own_model(recipe: Pretraining, kind: Kind) -> tuple[Any, Any]:
    """The model to go on from and its tokenizer, or the one that is named.

    Raises:
        ValueError: They do not fit together, or the model cannot be loaded.
    """
    assert isinstance(recipe.model, str), "a new model is built"
    model, tokenizer = load_model(recipe.model, _HEADS[kind], seed=recipe.seed)  # type: ignore[arg-type]
    if isinstance(recipe.tokenizer, str):
        place = _named(recipe.tokenizer)
        tokenizer = load_tokenizer(place)
        fit_tokenizer(tokenizer, model, place)
    return model, tokenizer


def _tokenizer(recipe: Pretraining, kind: Kind, folder: Path) -> Path:
    """Where the tokenizer of a new model is; it is trained where that was not done."""
    if isinstance(recipe.tokenizer, str):
        return _named(recipe.tokenizer)
    asked, place = recipe.tokenizer or NewTokenizer(), folder / TOKENIZER

    def train() -> None:
        recover_folder(place)
        if not place.is_dir():
            train_tokenizer(
                recipe.corpus,
                place,
                kind=kind,
                max_length=recipe.row_length,
                algorithm=asked.train,
                vocabulary=asked.vocabulary,
                lowercase=asked.lowercase,
                characters=asked.characters,
            )

    lead(train)
    return place


def _named(tokenizer: str) -> Path:
    """The folder of a tokenizer.

    Raises:
        FileNotFoundError: There is none, or the hub did not give it.
    """
    folder = folder_of(tokenizer)
    if not folder.is_dir():
        raise FileNotFoundError(f"tokenizer: {tokenizer}: there is no such folder")
    return folder


def _row_length(recipe: Pretraining, model: Any) -> int:
    """Tokens of a row.

    Raises:
        ValueError: More are asked for than the model has positions.
    """
    room = usable_positions(model)
    if room is None or recipe.row_length <= room:
        return recipe.row_length
    if recipe.max_length is None:
        return room
    raise ValueError(
        f"max_length: rows of {recipe.max_length} tokens do not fit a model of {room} positions; "
        f"set it to {room} or less"
    )


def told(reading: CorpusProgress) -> str:
    """How far the reading of a corpus is, in words."""
    share = "" if reading.share is None else f", {reading.share:.0%}"
    left = "" if reading.left is None else f", {reading.left:.0f} s left"
    documents = f"{reading.documents:,} document{'' if reading.documents == 1 else 's'}"
    return f"reading the corpus: {documents}{share}{left}"
