"""What a call of `index_texts` asks for, and whether it agrees with what the folder was made of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from leanformer.retrieve.embed import Encoder, open_encoder
from leanformer.retrieve.searching.description import NAME, Description, read_description
from leanformer.retrieve.searching.texts.passages import CountUnits, Cutting
from leanformer.retrieve.searching.texts.token_counts import TokenCounts

_USUAL = 200  # units of the longest passage
_SPECIAL = 2  # tokens that most encoders put around a text


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How texts are to be indexed; None = as the folder was made, or the default in a new one.

    Attributes:
        encoder: Folder or hub name of a bi-encoder, or an open one. None in a new folder = no
            vectors.
        bm25: Whether terms are indexed; by default they are.
        size: Units of the longest passage; by default 200, or what the encoder reads if that is
            less.
        overlap: Units that a passage shares with the one before; by default a fifth of `size`.
        unit: "tokens" or "words"; by default tokens where there is an encoder.
    """

    encoder: str | Path | Encoder | None = None
    bm25: bool | None = None
    size: int | None = None
    overlap: int | None = None
    unit: Literal["words", "tokens"] | None = None


@dataclass(frozen=True)
class Agreed:
    """A description with what it needs to be carried out.

    Attributes:
        description: What the folder is made of.
        encoder: The encoder; None where there are no vectors.
        count: Units of words; None = words are counted.
    """

    description: Description
    encoder: Encoder | None
    count: CountUnits | None


def agree(folder: Path, asked: Asked, threads: int | None = None) -> Agreed:
    """What `folder` is or will be made of.

    Raises:
        OSError: There is no such encoder.
        ValueError: Something that is asked for differs from what the folder was made of, passages
            are longer than the encoder reads, or there is nothing to index by.
    """
    if (folder / NAME).exists():
        return _again(folder, asked, read_description(folder), threads)
    given = asked.encoder
    encoder = open_encoder(given, threads=threads) if isinstance(given, str | Path) else given
    bm25 = True if asked.bm25 is None else asked.bm25
    if encoder is None and not bm25:
        raise ValueError("without vectors and without BM25 there is nothing to search by")
    if encoder is not None:
        _refuse_distances(encoder)
    name = _name(given)
    unit = asked.unit or ("words" if encoder is None or name == "" else "tokens")
    count = None if unit == "words" else _counts(encoder, name)
    size = asked.size
    if size is None:
        size = _USUAL if encoder is None else min(_USUAL, max(1, _room(encoder, count)))
    overlap = size // 5 if asked.overlap is None else asked.overlap
    description = Description(
        cutting=Cutting(size=size, overlap=overlap, unit=unit),
        encoder=name,
        identity="" if encoder is None else encoder.identity,
        bm25=bm25,
    )
    if encoder is not None and count is not None:
        _check_size(size, _room(encoder, count))
    return Agreed(description, encoder, count)


def same_encoder(folder: Path, description: Description, encoder: Encoder) -> None:
    """Refuse an encoder that did not make the vectors of a folder.

    Raises:
        ValueError: It is another one.
    """
    if encoder.identity != description.identity:
        named = f" {description.encoder}" if description.encoder else ""
        raise ValueError(
            f"{folder}: its vectors were made by another model than this encoder (recorded"
            f"{named}, {description.identity[:24]}…; here {encoder.identity[:24]}…), and vectors "
            "of two models cannot be compared; use that model, or index the texts with this one "
            "into another folder"
        )


def _again(folder: Path, asked: Asked, made: Description, threads: int | None) -> Agreed:
    if asked.encoder is not None and not made.dense:
        raise ValueError(
            f"{folder} was made without vectors; leave the encoder out, or index the texts with it "
            "into another folder"
        )
    cutting = made.cutting
    settings = {
        "bm25": (asked.bm25, made.bm25),
        "size": (asked.size, cutting.size),
        "overlap": (asked.overlap, cutting.overlap),
        "unit": (asked.unit, cutting.unit),
    }
    for name, (wanted, there) in settings.items():
        if wanted is not None and wanted != there:
            raise ValueError(
                f"{name}: {folder} was made with {there}, not {wanted}; leave it out, or index the "
                "texts into another folder"
            )
    if not made.dense:
        return Agreed(made, None, None)
    given = asked.encoder or made.encoder
    encoder = given if isinstance(given, Encoder) else open_encoder(given, threads=threads)
    same_encoder(folder, made, encoder)
    if cutting.unit == "words":
        return Agreed(made, encoder, None)
    count = _counts(encoder, _name(given) or made.encoder)
    _check_size(cutting.size, _room(encoder, count))
    return Agreed(made, encoder, count)


def _name(given: str | Path | Encoder | None) -> str:
    """How a model is recorded: a folder by its whole path, so that it is found from anywhere."""
    if given is None or isinstance(given, Encoder):
        return ""
    place = Path(given).expanduser()
    return str(place.resolve()) if place.exists() else str(given)


def _refuse_distances(encoder: Encoder) -> None:
    """Refuse vectors that are not compared by inner products, as the index compares them.

    Raises:
        ValueError: They are compared by a distance, and do not have length one.
    """
    if encoder.lengths_count and encoder.similarity != "dot":
        raise ValueError(
            f"encoder: the model's vectors are compared by their {encoder.similarity} distance, "
            "and an index compares inner products; name a model whose similarity is cosine or dot, "
            "or one that normalizes its vectors"
        )


def _counts(encoder: Encoder | None, model: str) -> CountUnits:
    """How tokens are counted.

    Raises:
        ValueError: They cannot be.
    """
    if encoder is None or not model:
        raise ValueError("unit: tokens are those of an encoder's folder; count words instead")
    return TokenCounts(model)


def _room(encoder: Encoder, count: CountUnits | None) -> int:
    """Tokens of a passage that the encoder reads, beside special tokens and its prompt."""
    prompt = encoder.text_before(encoder.prompt_for("document"))
    before = sum(count(prompt.split())) if count is not None else 0
    return encoder.max_length - _SPECIAL - before


def _check_size(size: int, room: int) -> None:
    """Refuse passages that the encoder would cut.

    Raises:
        ValueError: They are longer than it reads.
    """
    if size > room:
        raise ValueError(
            f"size: passages of {size} tokens, and the encoder reads {room}; what is "
            f"behind them could not be found; choose at most {room}"
        )
