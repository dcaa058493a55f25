"""Lottery tickets in translation: a small Transformer on Multi30k, English to German.

    pip install sacrebleu
    python benchmarks/translation.py run --seeds 0 1 2    (a training a line, resumable)
    python benchmarks/translation.py table                (writes docs/results/translation.md)

A Transformer of 2 + 2 layers, 128 wide, over 4,000 joint word pieces is trained from scratch on
29,000 pairs. Then 37 % of the weights that are left go, five times, and what is left is trained
again as long: as a *ticket* (weights put back to step k), by *magnitude* (weights stay as they are
and the learning rate is put back), and with a control beside the tickets, *signs*: each matrix of
one size, with the signs of the ticket. BLEU is sacrebleu's of greedy translations. `run` appends to
`docs/results/translation.jsonl`.
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
from transformers import MarianConfig, MarianMTModel
from translation_table import QUALITIES, write_table

from leanformer.core.files import write_text
from leanformer.core.record import Record, read
from leanformer.data import IGNORE, Batch, Encoded
from leanformer.data.encode import by_length
from leanformer.measure.environment import environment
from leanformer.prune.masked import Masked
from leanformer.prune.patterns import Unstructured
from leanformer.prune.saliencies import WeightMagnitude
from leanformer.prune.tickets import Tickets, kept_share
from leanformer.train import checkpoint
from leanformer.train.loop import Progress, fit
from leanformer.train.loss import Supervised
from leanformer.train.setup import TrainSetup

OURS = ROOT / "runs" / "translation"
FILES = {"train": "train", "dev": "val", "test": "test_2016_flickr"}
PIECES = 4000
PADDING, END = 0, 1
REWIND = 0.05
TRAINING = {"epochs": 4, "learning_rate": 2e-3, "batch_size": 128, "warmup": 0.1}
SEARCHES = {
    "ticket": Tickets(rounds=5, remove=0.37, rewind=REWIND, controls=("signs",)),
    "magnitude": Tickets(rounds=5, remove=0.37, rewind=REWIND, restart="rate"),
}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    asked = parser.parse_args()
    if asked.what == "table":
        write_table()
        return
    for seed in asked.seeds:
        for name in SEARCHES:
            search(name, seed)


def search(name: str, seed: int) -> None:
    """All rounds of one search; the training of the whole model is shared by both."""
    tokenizer = pieces()
    splits = {split: pairs(split, tokenizer) for split in FILES}
    torch.manual_seed(seed)
    model = transformer()
    layers = {
        place: Masked(one, Unstructured(), WeightMagnitude())
        for place, one in model.named_modules()
        if isinstance(one, torch.nn.Linear) and ".layers." in place
    }
    for place, layer in layers.items():
        model.set_submodule(place, layer)

    def train(number: int, way: str) -> float:
        way = name if way == "ticket" else way
        return trained(seed, number, way, model, layers, splits, tokenizer)

    SEARCHES[name].search(model, layers, OURS / f"{seed}" / "early", train, seed)


def trained(
    seed: int,
    number: int,
    way: str,
    model: MarianMTModel,
    layers: dict[str, Masked],
    splits: dict[str, "Pairs"],
    tokenizer: Tokenizer,
) -> float:
    """Train what the model holds, unless an earlier run did; its BLEU on dev."""
    place = OURS / f"{seed}" / f"{number:02}-{way}"
    found = checkpoint.load(place / "done")
    if found is not None:
        model.load_state_dict(found[0]["model"], strict=False)
        return float(found[1]["dev"])
    setup = TrainSetup(**TRAINING, start=REWIND if number else 0.0, evaluations=1)
    show, loss = partial(shown, f"{seed} {number:02} {way}"), Supervised("tokens")
    fit(model, splits["train"], loss, setup, folder=place / "training", hooks=[show], seed=seed)
    scores = {split: bleu(model, tokenizer, splits[split], split) for split in ("dev", "test")}
    checkpoint.save(place / "done", {"model": checkpoint.weights(model)}, scores)
    known = read(QUALITIES) if QUALITIES.is_file() else []
    if not any((e["seed"], e["round"], e["way"]) == (seed, number, way) for e in known):
        Record(QUALITIES).write(
            "bleu",
            seed=seed,
            round=number,
            way=way,
            kept=kept_share(layers),
            **scores,
            environment=environment(),
        )
    return scores["dev"]


def shown(what: str, model: torch.nn.Module, progress: Progress) -> None:
    """A line every hundred steps."""
    if progress.step % 100 == 0 or progress.step == progress.steps:
        print(f"{what}: {progress.step}/{progress.steps} loss {progress.loss:.3f}", flush=True)


def transformer() -> MarianMTModel:
    """A Transformer with weights of its initialisation."""
    config = MarianConfig(
        vocab_size=PIECES,
        init_std=128**-0.5,  # with less the positions drown the words, and no one looks at them
        d_model=128,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=512,
        decoder_ffn_dim=512,
        max_position_embeddings=128,
        scale_embedding=True,
        pad_token_id=PADDING,
        eos_token_id=END,
        decoder_start_token_id=PADDING,
        forced_eos_token_id=None,
    )
    return MarianMTModel(config)


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


def bleu(model: MarianMTModel, tokenizer: Tokenizer, data: Pairs, split: str) -> float:
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
