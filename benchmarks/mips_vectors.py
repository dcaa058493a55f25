"""The vectors of `mips.py`: MiniLM's embeddings of real texts, and noised copies beyond them.

Texts of the shared sets (captions, questions, news, phrases and sentences of reviews, pairs) are
embedded once, in shards that a killed run goes on from, into runs/mips. Where more vectors are
asked for than there are texts, copies of real ones with noise are added: `x + noise g / sqrt(d)`,
normalized, which puts a copy at a cosine of about 0.89 to its original (noise 0.5).
"""

import gzip
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from embedding_systems import fast_encoder
from rivals_sets import MINILM, ROOT, SHARED

from leanformer.core.storage.files import write_bytes

FOLDER = ROOT / "runs" / "mips"
QUERIES = 1000
NOISE = 0.5
_SHARD = 2048
_LONGEST = 400  # characters; longer texts are not of the same kind


def texts(shared: Path = SHARED) -> list[str]:
    """Distinct texts in a random order, the same one each time."""
    found = {text.strip() for text in _read(shared) if 8 <= len(text.strip()) <= _LONGEST}
    ordered = sorted(found)
    random.Random(0).shuffle(ordered)
    return ordered


def embed(folder: Path = FOLDER, shared: Path = SHARED) -> None:
    """Embed what is not yet embedded; a shard is there whole or not at all."""
    asked, encoder = texts(shared), None
    for start in range(0, len(asked), _SHARD):
        place = folder / f"{start:08}.npy"
        if place.is_file():
            continue
        encoder = encoder or fast_encoder(MINILM, asked[:128])
        made = encoder(asked[start : start + _SHARD])
        held = io.BytesIO()
        np.save(held, made, allow_pickle=False)
        write_bytes(place, held.getvalue())
        print(f"{start + len(made)} of {len(asked)} texts", flush=True)


def vectors(count: int, folder: Path = FOLDER) -> tuple[np.ndarray, np.ndarray, int]:
    """Vectors [count, D], queries [QUERIES, D] of other texts, and how many vectors are real.

    Raises:
        FileNotFoundError: No texts are embedded yet.
    """
    shards = sorted(folder.glob("*.npy"))
    if not shards:
        raise FileNotFoundError(f"{folder}: nothing embedded; run benchmarks/mips.py embed")
    real = np.concatenate([np.load(shard, allow_pickle=False) for shard in shards])
    queries, real = real[:QUERIES], real[QUERIES:]
    kept = min(count, len(real))
    return np.concatenate([real[:kept], noised(real, count - kept)]), queries, kept


def noised(real: np.ndarray, count: int) -> np.ndarray:
    """`count` copies of random rows with noise, of length 1."""
    rng = np.random.default_rng(0)
    made = np.empty((count, real.shape[1]), np.float32)
    for start in range(0, count, 65536):
        part = made[start : start + 65536]
        part[:] = real[rng.integers(0, len(real), len(part))]
        noise = rng.standard_normal(part.shape, dtype=np.float32)
        part += NOISE / np.sqrt(real.shape[1]) * noise
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return made


def _read(shared: Path) -> Iterator[str]:
    for name, columns in _TABLES.items():
        with gzip.open(shared / name, "rt", encoding="utf-8") as lines:
            heads = next(lines).rstrip("\n").split("\t")
            places = [heads.index(column) for column in columns]
            for line in lines:
                cells = line.rstrip("\n").split("\t")
                yield from (cells[place] for place in places if place < len(cells))
    for split in ("train", "val", "test_2016_flickr"):
        with gzip.open(shared / f"mt/multi30k/{split}.en.gz", "rt", encoding="utf-8") as lines:
            yield from lines
    for split in ("train", "dev", "test"):
        with gzip.open(shared / f"ner/wikiann_en/{split}.conll.gz", "rt", encoding="utf-8") as file:
            for sentence in file.read().split("\n\n"):
                yield " ".join(line.split("\t")[0] for line in sentence.splitlines())
    for line in (shared / "retrieval/NQ-open.dev.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)["question"]


_TABLES = {
    "glue/sst2/train.tsv.gz": ["sentence"],
    "glue/stsb/train.tsv.gz": ["sentence1", "sentence2"],
    "glue/stsb/dev.tsv.gz": ["sentence1", "sentence2"],
    "glue/stsb/test.tsv.gz": ["sentence1", "sentence2"],
    "glue/rte/train.tsv.gz": ["sentence1", "sentence2"],
    "intent/banking77/train.tsv.gz": ["text"],
    "intent/banking77/test.tsv.gz": ["text"],
    "nli/snli/dev.tsv.gz": ["premise", "hypothesis"],
    "nli/snli/test.tsv.gz": ["premise", "hypothesis"],
    "sentiment/sst2_sentences/train.tsv.gz": ["text"],
    "sentiment/sst2_sentences/test.tsv.gz": ["text"],
    "topic/ag_news/test.tsv.gz": ["text"],
    "topic/ag_news/train10k.tsv.gz": ["text"],
    "topic/trec/train.tsv.gz": ["text"],
    "topic/trec/test.tsv.gz": ["text"],
}
