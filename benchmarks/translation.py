"""Lottery tickets in translation: a small Transformer on Multi30k, English to German.

    pip install sacrebleu
    python benchmarks/translation.py run --seeds 0    (a training a line, resumable)
    python benchmarks/translation.py table            (writes docs/results/translation.md)

A Transformer of 2 + 2 layers, 128 wide, over 4,000 joint word pieces is trained from scratch on
29,000 pairs. Then a fifth of its weights goes; and, again from the whole model, 37 % of those that
are left, five times. What is left is trained again as long: as a *ticket* (weights put back to step
k), by *magnitude* (weights stay as they are and the learning rate is put back), and with two
controls beside the tickets: *signs*, each matrix of one size with the signs of the ticket, and
*random-weights*, drawn anew. BLEU is sacrebleu's of greedy translations. `run` appends to
`docs/results/translation.jsonl`; searches may run side by side (`--searches`) once the whole model
of a seed is there.
"""

import argparse
import gzip
from dataclasses import dataclass, replace
from functools import partial

import torch
from foundation_plans import SHARED
from foundation_tables import ROOT
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import MBartConfig, MBartForConditionalGeneration
from translation_table import QUALITIES, write_table

from leanformer.core.record import Record, read
from leanformer.core.storage.files import write_text
from leanformer.data import IGNORE, Batch, Encoded
from leanformer.data.encode import by_length
from leanformer.measure.environment import environment
from leanformer.prune.criteria.weights import WeightMagnitude
from leanformer.prune.masks.masked_linear import MaskedLinear
from leanformer.prune.masks.tickets import Tickets, kept_share
from leanformer.prune.patterns import Unstructured
from leanformer.train.checkpoints import checkpoint
from leanformer.train.loop import Progress, fit
from leanformer.train.loss import Supervised
from leanformer.train.schedules import LinearDecay
from leanformer.train.setup import TrainSetup

OURS = ROOT / "runs" / "translation"
FILES = {"train": "train", "dev": "val", "test": "test_2016_flickr"}
PIECES = 4000
PADDING, END = 0, 1
REWIND = 0.05
TRAINING = {"epochs": 4, "learning_rate": 4e-3, "batch_size": 64, "warmup": 0.1}
ROUNDS = {0.2: 1, 0.37: 5}  # share that a round removes: rounds
SEARCHES = {
    "ticket": partial(Tickets, rewind=REWIND, controls=("signs", "random-weights")),
    "magnitude": partial(Tickets, rewind=REWIND, restart="rate"),
}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--searches", nargs="*", choices=SEARCHES, default=list(SEARCHES))
    asked = parser.parse_args()
    if asked.what == "table":
        write_table()
        return
    for seed in asked.seeds:
        for name in asked.searches:
            for fraction in ROUNDS:
                search(name, fraction, seed)


def search(name: str, fraction: float, seed: int) -> None:
    """All rounds of one search; the training of the whole model is shared by all."""
    tokenizer = pieces()
    splits = {split: pairs(split, tokenizer) for split in FILES}
    torch.manual_seed(seed)
    model = transformer()
    layers = {
        place: MaskedLinear(one, Unstructured(), WeightMagnitude())
        for place, one in model.named_modules()
        if isinstance(one, torch.nn.Linear) and ".layers." in place
    }
    for place, layer in layers.items():
        model.set_submodule(place, layer)

    def train(number: int, way: str) -> float:
        way = name if way == "ticket" else way
        return trained(seed, way, model, layers, splits, tokenizer)

    tickets = SEARCHES[name](rounds=ROUNDS[fraction], prune_fraction=fraction)
    tickets.search(model, layers, OURS / f"{seed}" / "early", train, seed)


def trained(
    seed: int,
    way: str,
    model: MBartForConditionalGeneration,
    layers: dict[str, MaskedLinear],
    splits: dict[str, "Pairs"],
    tokenizer: Tokenizer,
) -> float:
    """Train what the model holds, unless an earlier run did; its BLEU on dev."""
    kept = round(kept_share(layers), 3)
    place = OURS / f"{seed}" / f"{way}-{kept:g}"
    found = checkpoint.load(place / "done")
    if found is not None:
        model.load_state_dict(found[0]["model"], strict=False)
        return float(found[1]["dev"])
    setup = TrainSetup(
        epochs=TRAINING["epochs"],
        learning_rate=TRAINING["learning_rate"],
        batch_size=TRAINING["batch_size"],
        schedule=LinearDecay(warmup=TRAINING["warmup"]),
        start_fraction=REWIND if kept < 1 else 0.0,
        evaluations=1,
    )
    show, loss = partial(shown, f"{seed} {way} {kept:g}"), Supervised("tokens")
    fit(model, splits["train"], loss, setup, folder=place / "training", hooks=[show], seed=seed)
    scores = {split: bleu(model, tokenizer, splits[split], split) for split in ("dev", "test")}
    here = {"seed": seed, "way": way, "kept": kept, "training": TRAINING}
    known = read(QUALITIES) if QUALITIES.is_file() else []
    if not any(here.items() <= event.items() for event in known):
        Record(QUALITIES).write("bleu", **here, **scores, environment=environment())
    checkpoint.save(place / "done", {"model": checkpoint.weights(model)}, scores)
    return scores["dev"]


def shown(what: str, model: torch.nn.Module, progress: Progress) -> None:
    """A line every hundred steps."""
    if progress.step % 100 == 0 or progress.step == progress.steps:
        print(f"{what}: {progress.step}/{progress.steps} loss {progress.loss:.3f}", flush=True)


def transformer() -> MBartForConditionalGeneration:
    """A Transformer that normalises before each block, with weights of its initialisation.

    With norms after the blocks (Marian) the whole model learns far more slowly (LOG.md).
    """
    config = MBartConfig(
        vocab_size=PIECES,
        init_std=128**-0.5,  # with less the positions drown the words
        d_model=128,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=512,
        decoder_ffn_dim=512,
        max_position_embeddings=128,
        activation_function="relu",
        scale_embedding=True,
        pad_token_id=PADDING,
        eos_token_id=END,
        decoder_start_token_id=PADDING,
        forced_eos_token_id=None,
    )
    return MBartForConditionalGeneration(config)


def texts(split: str, language: str) -> list[str]:
    """Sentences in one language."""
    with gzip.open(SHARED / f"mt/multi30k/{FILES[split]}.{language}.gz", "rt") as lines:
        return [line.strip() for line in lines]


def pieces() -> Tokenizer:
    """Word pieces of both languages, learnt from the training texts."""
    file = OURS / "tokenizer.json"
    if not file.is_file():
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(vocab_size=PIECES, special_tokens=["<pad>", "</s>", "<unk>"])
        tokenizer.train_from_iterator(texts("train", "en") + texts("train", "de"), trainer)
        write_text(file, tokenizer.to_str())
    return Tokenizer.from_file(str(file))


@dataclass(frozen=True)
class Pairs(Encoded):
    """Sentences, and as labels their translations, both ending with END."""

    def batch(self, indices: list[int]) -> Batch:
        """See `Encoded.batch`; the decoder is shown what comes before each label."""
        batch = super().batch(indices)
        assert batch.labels is not None
        before = batch.labels.masked_fill(batch.labels == IGNORE, PADDING).roll(1, 1)
        before[:, 0] = PADDING
        return replace(batch, inputs={**batch.inputs, "decoder_input_ids": before})

    def _labels(self, indices: list[int], width: int) -> Tensor | None:
        assert self.labels is not None
        return super()._labels(indices, max(len(self.labels[index]) for index in indices))


def pairs(split: str, tokenizer: Tokenizer) -> Pairs:
    """A split, English to German."""
    source, target = (
        [[*one.ids, END] for one in tokenizer.encode_batch(texts(split, language))]
        for language in ("en", "de")
    )
    rows = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in source]
    return Pairs(rows, target, PADDING, 0, "tokens")


def bleu(
    model: MBartForConditionalGeneration, tokenizer: Tokenizer, data: Pairs, split: str
) -> float:
    """sacrebleu's score of greedy translations."""
    from sacrebleu import corpus_bleu  # asked for by `run` alone

    said = [""] * len(data)
    for indices in by_length(data, 128):
        inputs = data.batch(indices).inputs
        with torch.no_grad():
            ids = model.generate(
                inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=60,
                do_sample=False,
                num_beams=1,
            )
        for index, text in zip(indices, tokenizer.decode_batch(ids.tolist()), strict=True):
            said[index] = text
    return corpus_bleu(said, [texts(split, "de")]).score


if __name__ == "__main__":
    main()
