"""A corpus that is ready to train on: token ids and rows on the disk, opened in no time."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from leanformer.data.corpus.packing import Packing, RowForm, check_plan, pieces_of, plan_rows
from leanformer.data.corpus.reading import Watch
from leanformer.data.corpus.rows import Rows
from leanformer.data.corpus.texts import Corpus
from leanformer.data.corpus.token_file import Listing, TokenFile, check_tokens, read_listing
from leanformer.data.corpus.token_ids import TokenIds
from leanformer.data.corpus.tokenized import SHARD_TOKENS, tokenized
from leanformer.data.encode import Encoded
from leanformer.tasks import IGNORE, kind_named

_EVALUATED = 2**18  # tokens


@dataclass(frozen=True)
class PreparedCorpus:
    """A corpus as rows for one kind of language model.

    Attributes:
        folder: Where it is.
        kind: "causal-lm" or "masked-lm".
        listing: What the folder holds: documents and tokens of each side, the digest of the texts.
        rows: The rows to train on.
    """

    folder: Path
    kind: str
    listing: Listing = field(repr=False)
    rows: Rows = field(repr=False)

    @property
    def packing(self) -> Packing:
        """Whether documents share rows ("packed") or have rows of their own ("grouped")."""
        return self.rows.plan.form.packing

    @property
    def max_length(self) -> int:
        """Tokens of a row at most."""
        return self.rows.plan.form.max_length

    @property
    def filled(self) -> float:
        """Share of the tokens of full rows that are real; padding between rows of a batch that are
        grouped by length is less than the rest."""
        return self.rows.plan.tokens / (len(self.rows) * self.max_length)

    def identity(self) -> dict[str, Any]:
        """What tells these rows from others, by content: JSON values."""
        form = self.rows.plan.form
        kept = {key: one for key, one in self.listing.identity.items() if key != "sources"}
        return {**kept, "packing": form.packing, "max_length": form.max_length}

    def check(self) -> None:
        """Compare every file of token ids and of rows with its checksum.

        Raises:
            ValueError: One is missing or altered.
        """
        check_tokens(self.folder, self.listing)
        check_plan(_place(self.folder, self.rows.plan.form))

    def held_out(self, tokens: int = _EVALUATED) -> Encoded:
        """Documents that were held out, one piece per row, for `train.evaluate`.

        Args:
            tokens: About so many at most; documents are then left out at regular distances.

        Raises:
            ValueError: No document was held out.
        """
        file = TokenFile(self.folder, self.listing, "held_out")
        if not file.documents:
            raise ValueError(
                "held_out: no document of the corpus was held out for evaluation; prepare it with "
                "Corpus(held_out=0.01) in another folder"
            )
        every = max(1, -(-file.tokens // tokens))
        form, rows, labels = self.rows.plan.form, list[dict[str, list[int]]](), list[Any]()
        seen = 0
        for shard in range(file.shards):
            for window in pieces_of(file, shard, form.room):
                number = seen + np.cumsum(window["last"]) - window["last"]  # of the document
                seen += int(window["last"].sum())
                for piece in window[number % every == 0]:
                    ids = file.read(piece["start"][None], piece["length"][None]).tolist()
                    row = [*self.rows.before, *ids, *self.rows.after]
                    rows.append({"input_ids": row, "attention_mask": [1] * len(row)})
                    labels.append([*row[1:], IGNORE])
        predicts = kind_named(self.kind).predicts_next
        return Encoded(rows, labels if predicts else None, self.rows.padding, 0, self.kind)


def prepare(
    corpus: Corpus,
    tokenizer: Any,
    folder: Path,
    *,
    kind: str,
    max_length: int,
    packing: Packing = "packed",
    watch: Watch | None = None,
    reread: bool = False,
    shard_tokens: int = SHARD_TOKENS,
) -> PreparedCorpus:
    """Tokenize a corpus to disk, plan its rows, and open it; what is there already is used again.

    Memory does not grow with the corpus. A preparation that was killed goes on where it was when
    it is called again. One process prepares; others call `open_prepared` when it has ended.

    Args:
        corpus: The texts.
        tokenizer: A fast transformers tokenizer.
        folder: Where token ids and rows are kept; several lengths and packings may share it.
        kind: "causal-lm" (the next token is predicted; each document ends with the end token) or
            "masked-lm" (words are hidden; each piece of a document has [CLS] and [SEP] of its own).
        max_length: Tokens of a row at most, special ones included; longer documents are split.
        packing: "packed": several documents share a row and do not see each other, for models that
            `models.packed.check_packs` lets pass; "grouped": each piece is a row, and batches hold
            rows of like length.
        watch: Called about twice a second while texts are read.
        reread: Read and compare the texts even where the files have the size and time that they
            had; those of the hub are compared only so.
        shard_tokens: Tokens of a shard, which a kill may cost.

    Raises:
        ValueError: The folder holds another corpus or is damaged; a text or the tokenizer cannot be
            used; no document is on one side; or rows are too short.
        FileNotFoundError: There is no such file.
        FolderInUse: Another process prepares the folder.
        OSError: The disk has not enough space.
    """
    listing = tokenized(
        corpus, tokenizer, kind, folder, shard_tokens=shard_tokens, watch=watch, reread=reread
    )
    return _opened(folder, listing, tokenizer, max_length, packing)


def open_prepared(
    folder: Path, tokenizer: Any, *, max_length: int, packing: Packing = "packed"
) -> PreparedCorpus:
    """Open what `prepare` left in `folder`, without the texts; arguments are as there.

    Raises:
        ValueError: There is none, it is damaged, or it was prepared with another tokenizer.
    """
    listing = read_listing(folder)
    kind = listing.identity["kind"]
    if TokenIds(tokenizer, kind).identity(tokenizer)["tokenizer"] != listing.identity["tokenizer"]:
        raise ValueError(
            f"{folder}: the corpus was prepared with another tokenizer; open it with that one, or "
            "prepare it in another folder"
        )
    return _opened(folder, listing, tokenizer, max_length, packing)


def _opened(
    folder: Path, listing: Listing, tokenizer: Any, max_length: int, packing: Packing
) -> PreparedCorpus:
    if packing not in ("packed", "grouped"):
        raise ValueError(f"packing: {packing!r} is not packed or grouped")
    if max_length > tokenizer.model_max_length:
        raise ValueError(
            f"max_length: {max_length} is more than the {tokenizer.model_max_length} tokens that "
            "the tokenizer says its model reads (model_max_length); set max_length to that or less"
        )
    kind = listing.identity["kind"]
    causal = kind_named(kind).predicts_next
    form = RowForm(packing, max_length, len(listing.before) + len(listing.after), causal)
    identity = {"texts": listing.identity["texts"], "tokenizer": listing.identity["tokenizer"]}
    file = TokenFile(folder, listing, "train")
    plan = plan_rows(file, form, _place(folder, form), identity)
    padding = tokenizer.pad_token_id or 0
    if packing == "packed" and causal:
        padding = int(padding == 0)  # any other id: transformers warns of padding without a mask
    return PreparedCorpus(
        folder, kind, listing, Rows(file, plan, listing.before, listing.after, padding)
    )


def _place(folder: Path, form: RowForm) -> Path:
    """Where the plan of the rows is."""
    return folder / f"rows-{form.packing}-{form.max_length}"
