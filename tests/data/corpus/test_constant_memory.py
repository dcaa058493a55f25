"""A corpus several times larger than the memory that is allowed goes through."""

import subprocess
import sys
from pathlib import Path

SCRIPT = r"""
import resource, sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from leanformer.data.corpus import Corpus, prepare
from leanformer.data.corpus.order import Order
from leanformer.data.corpus.packing import RowForm, plan_rows
from leanformer.data.corpus.rows import Rows
from leanformer.data.corpus.shards import Shard
from leanformer.data.corpus.token_file import Listing, TokenFile
from leanformer.train.corpus_batches import CorpusBatches

ALLOWED, LARGE = 16 * 2**20, 64 * 2**20
root = Path(sys.argv[1])
words = [letter * 400 for letter in "abcdefghij"]  # few tokens, so that many bytes take little time
backend = Tokenizer(models.WordLevel({"$": 0} | {w: n for n, w in enumerate(words, 1)}, "$"))
backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="$", model_max_length=512)

def trained_on(texts, out):
    corpus = Corpus(paths=(str(texts),), held_out=0.1)
    found = prepare(corpus, tokenizer, out, kind="causal-lm", max_length=64, shard_tokens=2**15)
    batches = CorpusBatches(found, max_tokens=2048, seed=0, batch_tokens=2048)
    return found, sum(part.tokens for step in range(20) for part in batches.at(step))

def write(path, size):
    document = " ".join(words * 3)
    with path.open("w") as file:
        for number in range(size // len(document)):
            file.write(f"{number} {document}\n{number}\n")

write(root / "small.txt", 2**21)
trained_on(root / "small.txt", root / "small")  # whatever is loaded late is loaded now
write(root / "large.txt", LARGE)
status = Path("/proc/self/status").read_text()
data = next(int(line.split()[1]) * 1024 for line in status.splitlines() if "VmData" in line)
resource.setrlimit(resource.RLIMIT_DATA, (data + ALLOWED,) * 2)

try:
    (root / "large.txt").read_bytes()
    sys.exit("the limit limits nothing")
except MemoryError:
    pass
found, tokens = trained_on(root / "large.txt", root / "large")
assert found.listing.documents("train") > 8_000 and len(found.listing.shards) > 3
assert tokens >= 20 * 2000

# many tokens: planned, cut and read
count, every = 2**25, 512
place = root / "tokens" / "shard-00000"
place.mkdir(parents=True)
with (place / "train.ids").open("wb") as file:
    file.truncate(2 * count)
with (place / "train.ends").open("wb") as file:
    for first in range(0, count, 2**20):
        np.arange(first + every, first + 2**20 + 1, every, dtype="<i8").tofile(file)
shard = Shard("shard-00000", count // every, "", 0, count // every, count, 0, 0)
listing = Listing({}, "<u2", (), (), (shard,), {})
file = TokenFile(root / "tokens", listing, "train")
try:
    file.read(np.array([0]), np.array([count])) + 0
    sys.exit("the limit limits nothing")
except MemoryError:
    pass
plan = plan_rows(file, RowForm("packed", 1024, 0, True), root / "plan", {})
assert plan.tokens == count and len(plan.rows) == count // 1024
rows = Rows(file, plan, (), (), 0)
order = Order(rows, 0, 1000, None)
seen = [rows.batch(order.at(step)[:8]) for step in range(0, 3000, 300)]
assert all(batch.tokens == 8 * 1024 for batch in seen)
print("through")
"""


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-2000:]
    assert child.stdout.endswith("through\n")
