"""Texts for a teacher to label, where the training texts alone are too few.

SST-2's sentences are 6,920. Its phrases and sentences of other reviews (IMDB, written like SST-2:
lower-case, punctuation apart) are ten times as many. STS-B's pairs are 5,749; SNLI's development
and test pairs, sentences of the same kind, are three times as many. RTE's are 2,241, and longer
than any others here: its own first texts are paired anew. No label of theirs is read.
"""

import csv
import gzip
import random
import re
from collections import Counter, defaultdict
from pathlib import Path

from leanformer.core.storage.files import write_text
from leanformer.data import Examples

PHRASE_WORDS = 8  # shorter phrases say little about sentences
SENTENCE_WORDS = range(8, 51)
SENTENCES = 40_000
SNLI_DEV = 1_000
NEAREST = 4  # second texts that a first one is paired with
COMMON_WORDS = 60  # a word of more texts says nothing of what a text is about


def sentiment_texts(shared: Path, place: Path) -> Path:
    """Write the transfer texts of SST-2 to `place`, one a line, unless they are there."""
    if not place.is_file():
        with gzip.open(shared / "glue/sst2/train.tsv.gz", "rt", encoding="utf-8") as lines:
            rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            phrases = [row["sentence"].strip() for row in rows]
        kept = [phrase for phrase in phrases if len(phrase.split()) >= PHRASE_WORDS]
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, "\n".join([*kept, *_reviewed(shared)]) + "\n")
    return place


def review_sentences(shared: Path, place: Path) -> Path:
    """Write sentences of film reviews alone to `place`, one a line, unless they are there."""
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, "\n".join(dict.fromkeys(_reviewed(shared))) + "\n")
    return place


def _reviewed(shared: Path) -> list[str]:
    """Sentences of IMDB reviews, drawn at random, the same ones each time."""
    with gzip.open(shared / "lm/imdb_unsup/reviews10k.txt.gz", "rt", encoding="utf-8") as lines:
        found = [sentence for line in lines for sentence in sentences(line)]
    return random.Random(0).sample(found, SENTENCES)


def similarity_pairs(shared: Path, place: Path) -> Path:
    """Write the transfer pairs of STS-B to `place`, unless they are there."""
    if not place.is_file():
        rows = [*_inferences(shared, "dev"), *_inferences(shared, "test")]
        pairs = [f"{row['premise']}\t{row['hypothesis']}" for row in rows]
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, "\n".join(["sentence1\tsentence2", *dict.fromkeys(pairs)]) + "\n")
    return place


def entailment_pairs(shared: Path, folder: Path) -> Path:
    """Write SNLI's pairs with RTE's two labels to `folder`, unless they are there: the first
    thing that RTE's teacher learns, as its own 2,241 pairs teach it next to nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [*_inferences(shared, "test"), *_inferences(shared, "dev")]
    for split, part in (("train", rows[:-SNLI_DEV]), ("dev", rows[-SNLI_DEV:])):
        if not (folder / f"{split}.tsv").is_file():
            lines = [f"{row['premise']}\t{row['hypothesis']}\t{_entailed(row)}" for row in part]
            whole = "\n".join(["sentence1\tsentence2\tlabel", *lines]) + "\n"
            write_text(folder / f"{split}.tsv", whole)
    return folder


def recombined_pairs(examples: Examples, place: Path) -> Path:
    """Write each first text of `examples` beside the second texts of others that share the most of
    its rarer words, unless they are there: pairs as hard as its own."""
    if not place.is_file():
        assert examples.pairs is not None
        holders = defaultdict(list)
        for index, second in enumerate(examples.pairs):
            for word in _words(second):
                holders[word].append(index)
        lines = []
        for first, own in zip(examples.texts, examples.pairs, strict=True):
            shared = Counter[str]()
            for word in sorted(_words(first)):
                if len(holders[word]) <= COMMON_WORDS:
                    for index in holders[word]:
                        shared[examples.pairs[index]] += 1 / len(holders[word])
            del shared[own]
            lines += [f"{first}\t{second}" for second, _ in shared.most_common(NEAREST)]
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, "\n".join(["sentence1\tsentence2", *dict.fromkeys(lines)]) + "\n")
    return place


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _entailed(row: dict[str, str]) -> str:
    return "entailment" if row["label"] == "0" else "not_entailment"


def _inferences(shared: Path, split: str) -> list[dict[str, str]]:
    with gzip.open(shared / f"nli/snli/{split}.tsv.gz", "rt", encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def sentences(review: str) -> list[str]:
    """The sentences of a review as SST-2 writes them: "it 's great , is n't it ?"."""
    plain = re.sub(r"<[^>]*>", " ", review.lower())
    parts = re.split(r"(?<=[.!?])\s+", plain)
    apart = (re.sub(r"(n't|'\w+|[.,!?;:\"()]+)", r" \1 ", part) for part in parts)
    spaced = [" ".join(part.split()) for part in apart]
    return [sentence for sentence in spaced if len(sentence.split()) in SENTENCE_WORDS]
