"""Articles of WikiText-2: every document comes back from its tokens, and rows are full."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from leanformer.data.corpus import Corpus, prepare, stream, train_tokenizer
from leanformer.data.corpus.token_file import TokenFile
from leanformer.train.corpus_batches import CorpusBatches

WIKITEXT = Path(__file__).parents[4] / "shared/data/lm/wikitext2/valid.txt.gz"
pytestmark = pytest.mark.skipif(not WIKITEXT.is_file(), reason=f"needs {WIKITEXT}")


def test_articles_go_through_without_loss(tmp_path: Path) -> None:
    corpus = Corpus(paths=(str(WIKITEXT),), documents="blank-lines")
    tokenizer = train_tokenizer(
        corpus,
        tmp_path / "tokenizer",
        kind="causal-lm",
        max_length=256,
        vocabulary=1000,
        characters=200_000,
    )
    found = prepare(
        corpus, tokenizer, tmp_path / "c", kind="causal-lm", max_length=256, shard_tokens=10**5
    )
    assert len(found.listing.shards) > 2
    assert found.filled > 0.98
    file = TokenFile(found.folder, found.listing, "train")
    texts = iter(stream(corpus))
    for shard in range(file.shards):
        ends = [0, *file.ends(shard).tolist()]
        for start, end in pairwise(ends):
            begin = int(file.begins[shard]) + start
            ids = file.read(np.array([begin]), np.array([end - start])).tolist()
            assert ids[-1] == tokenizer.eos_token_id
            assert tokenizer.decode(ids[:-1]) == next(texts).text
    assert next(texts, None) is None
    batches = CorpusBatches(found, max_tokens=4096, seed=0, batch_tokens=4096)
    targets = [batches.targets(step) for step in range(batches.steps_per_epoch)]
    assert max(targets) - min(targets) <= 2 * 256
    assert sum(targets) == found.rows.plan.targets
