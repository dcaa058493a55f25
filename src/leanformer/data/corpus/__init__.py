"""Pre-training corpora of any size: streamed, tokenized once to disk, packed, and read in batches.

    corpus = Corpus(paths=("wiki/",), held_out=0.01)
    tokenizer = train_tokenizer(corpus, folder / "tokenizer", kind="causal-lm", max_length=1024)
    prepared = prepare(corpus, tokenizer, folder / "tokens", kind="causal-lm", max_length=512)
    batches = CorpusBatches(prepared, max_tokens=16384, seed=0, batch_tokens=32768)
    fit(model, batches, Supervised("causal-lm"), setup, evaluate=…)      # prepared.held_out()

Memory does not grow with the corpus. `prepare` goes on where it was killed, and uses again what is
there; the other ranks of a training call `open_prepared` when one has prepared.
`CorpusBatches` stands in `train.corpus_batches`, and so does `packing_for`, which tries whether a
model keeps packed documents apart.
"""

from leanformer.data.corpus.packing import Packing
from leanformer.data.corpus.prepared import PreparedCorpus, open_prepared, prepare
from leanformer.data.corpus.reading import CorpusProgress
from leanformer.data.corpus.texts import Corpus, stream
from leanformer.data.corpus.tokenized import require_same_texts
from leanformer.data.corpus.train_tokenizer import train_tokenizer

__all__ = [
    "Corpus",
    "CorpusProgress",
    "Packing",
    "PreparedCorpus",
    "open_prepared",
    "prepare",
    "require_same_texts",
    "stream",
    "train_tokenizer",
]
