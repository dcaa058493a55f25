from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data.corpus.corpora import prepared, texts_of
from train.two_terms import same
from transformers import BloomConfig, BloomForCausalLM

from leanformer.data import IGNORE
from leanformer.models.tiny import tiny_model
from leanformer.train import Supervised, TrainSetup, fit
from leanformer.train.batches import Duration
from leanformer.train.corpus_batches import CorpusBatches, packing_for
from leanformer.train.evaluate import masked_accuracy, outputs
from leanformer.train.masking import masking
from leanformer.train.steps.pretrain import MaskedLanguage

TEXTS = texts_of(90)
KINDS = {"gpt2": "causal-lm", "bert": "masked-lm"}
SETUP = TrainSetup(epochs=1.5, learning_rate=1e-3, precision="fp32", checkpoint_seconds=0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return prepared(tmp_path_factory.mktemp("c"), TEXTS, held_out=0.1)


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return prepared(tmp_path_factory.mktemp("g"), TEXTS, packing="grouped")


def batches(prepared: Any, **settings: Any) -> CorpusBatches:
    settings = {"max_tokens": 200, "seed": 0, **settings}
    if "batch_tokens" not in settings:
        settings = {"batch_size": 5, **settings}
    return CorpusBatches(prepared, **settings)


@pytest.mark.parametrize("size", [{"batch_size": 5}, {"batch_tokens": 150}, {"batch_tokens": 1}])
@pytest.mark.parametrize("packing", ["packed", "grouped"])
def test_an_epoch_reads_every_token_once(request: Any, packing: str, size: Any) -> None:
    prepared = request.getfixturevalue("corpus" if packing == "packed" else "grouped")
    made = batches(prepared, **size)
    for epoch in range(2):
        steps = range(epoch * made.steps_per_epoch, (epoch + 1) * made.steps_per_epoch)
        parts = {step: made.at(step) for step in steps}
        rows = [row for step in steps for part in parts[step] for row in part.index]
        assert sorted(rows) == list(range(len(prepared.rows)))
        assert sum(part.tokens for step in steps for part in parts[step]) == made.epoch_tokens
        for step in steps:
            assert made.tokens(step) == sum(part.tokens for part in parts[step])
            known = sum(int((part.labels != IGNORE).sum()) for part in parts[step])
            assert made.targets(step) == known
            for part in parts[step]:
                assert part.inputs["input_ids"].numel() <= 200 or len(part.index) == 1
    assert made.longest == prepared.rows.plan.rows["tokens"].max()
    assert made.steps(Duration(made.epoch_tokens, "token")) == made.steps_per_epoch


def test_batches_are_whole_where_a_microbatch_may_hold_as_much_as_it_says(corpus: Any) -> None:
    for size in ({"batch_size": 5}, {"batch_tokens": 150}):
        made = batches(corpus, **size)
        assert made.whole_tokens > 200
        whole = batches(corpus, **size, max_tokens=made.whole_tokens)
        assert not whole.whole_tokens
        assert all(len(whole.at(step)) == 1 for step in range(whole.steps_per_epoch))
    assert not batches(corpus, batch_size=1, max_tokens=1).whole_tokens


def test_what_a_step_reads_does_not_depend_on_who_asked_for_what(corpus: Any) -> None:
    made, again = (batches(corpus, batch_tokens=150) for _ in range(2))
    steps = np.random.default_rng(0).permutation(3 * made.steps_per_epoch).tolist()
    expected = {step: made.at(step) for step in sorted(steps)}
    with ThreadPoolExecutor(8) as pool:
        found = dict(zip(steps, pool.map(again.at, steps), strict=True))
    for step in steps:
        for one, other in zip(expected[step], found[step], strict=True):
            assert one.index == other.index
            assert all(torch.equal(one.inputs[name], other.inputs[name]) for name in one.inputs)
            assert torch.equal(one.labels, other.labels)


def test_ranks_share_larger_microbatches_of_the_same_steps(corpus: Any) -> None:
    one, four = batches(corpus, batch_size=16), batches(corpus, batch_size=16, ranks=4)
    assert one.identity() == four.identity()
    for step in range(one.steps_per_epoch):
        ours, theirs = one.at(step), four.at(step)
        rows = [[row for part in parts for row in part.index] for parts in (ours, theirs)]
        assert rows[0] == rows[1]
        assert len(theirs) <= len(ours)
        shapes = [part.inputs["input_ids"].shape for part in theirs]
        assert all(-(-rows // 4) * length <= 200 for rows, length in shapes)
    assert len(four.at(0)) < len(one.at(0))


def test_settings_are_refused(corpus: Any) -> None:
    for size in ({}, {"batch_size": 2, "batch_tokens": 9}):
        with pytest.raises(ValueError, match="batch_size, batch_tokens: both say how large a step"):
            CorpusBatches(corpus, max_tokens=9, seed=0, **size)
    for name in ("batch_size", "batch_tokens", "max_tokens"):
        with pytest.raises(ValueError, match=f"{name}: 0 is not at least 1"):
            batches(corpus, **{name: 0})


def test_state_goes_on_with_the_same_rows_alone(corpus: Any, grouped: Any) -> None:
    made = batches(corpus)
    made.restore(batches(corpus).state())
    others = [batches(grouped), batches(corpus, seed=1), batches(corpus, batch_tokens=99)]
    for other in others:
        with pytest.raises(ValueError, match="the checkpoint is of other data: "):
            made.restore(other.state())


def test_packing_is_chosen_by_trying_the_model() -> None:
    gpt2, _ = tiny_model("gpt2", head="causal")
    deberta, _ = tiny_model("deberta-v2", head="masked")
    bloom = BloomForCausalLM(BloomConfig(vocab_size=99, hidden_size=32, n_layer=1, n_head=4))
    assert packing_for(gpt2, "causal-lm") == "packed"
    assert packing_for(gpt2, "causal-lm", "grouped") == "grouped"
    for model, kind in ((deberta, "masked-lm"), (bloom, "causal-lm")):
        assert packing_for(model, kind, else_grouped=True) == "grouped"
        with pytest.raises(ValueError, match=r'packing: in .* would see each other; .*"grouped"'):
            packing_for(model, kind)


def trained(
    folder: Path,
    family: str,
    *,
    texts: list[str] = TEXTS[:50],
    checkpoint: Path | None = None,
    stop: int | None = None,
    packing: Any = "packed",
    **settings: Any,
) -> tuple[list[float], dict[str, Any]]:
    """Train a tiny model on a corpus in `folder`, killed after step `stop`."""
    folder.mkdir(exist_ok=True)
    kind = KINDS[family]
    corpus = prepared(folder, texts, family=family, kind=kind, packing=packing)
    head = "causal" if family == "gpt2" else "masked"
    model, tokenizer = tiny_model(family, head=head)
    loss = Supervised(kind) if head == "causal" else MaskedLanguage(masking(tokenizer, 0.3))

    def hook(model: Any, progress: Any) -> None:
        if progress.step == stop:
            raise KeyboardInterrupt

    made = batches(corpus, **{"batch_tokens": 300, **settings})
    fitted = fit(model, made, loss, SETUP, folder=checkpoint, hooks=[hook], seed=3)
    return fitted.losses, model.state_dict()


@pytest.mark.parametrize("packing", ["packed", "grouped"])
@pytest.mark.parametrize("family", list(KINDS))
def test_a_training_that_was_killed_ends_like_one_that_was_not(
    tmp_path: Path, family: str, packing: Any
) -> None:
    whole = trained(tmp_path / "c", family, packing=packing)
    assert len(whole[0]) > 3
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "c", family, packing=packing, checkpoint=tmp_path / "k", stop=3)
    resumed = trained(tmp_path / "c", family, packing=packing, checkpoint=tmp_path / "k")
    assert resumed[0] == whole[0]
    assert same(resumed[1], whole[1])


def test_a_checkpoint_of_another_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "c", "gpt2", checkpoint=tmp_path / "k", stop=2)
    other = [*TEXTS[:49], TEXTS[49] + " music"]
    with pytest.raises(ValueError, match="differs in the texts of the training data"):
        trained(tmp_path / "d", "gpt2", texts=other, checkpoint=tmp_path / "k")
    with pytest.raises(ValueError, match=r"differs in data.batch_tokens \(300 → 200\)"):
        trained(tmp_path / "c", "gpt2", checkpoint=tmp_path / "k", batch_tokens=200)


@pytest.mark.parametrize("family", list(KINDS))
def test_packed_rows_train_like_rows_of_their_own(tmp_path: Path, family: str) -> None:
    """The gradient of a whole epoch in float64; no document is split there."""
    kind, head = KINDS[family], "causal" if family == "gpt2" else "masked"
    slopes = []
    for packing in ("packed", "grouped"):
        (tmp_path / packing).mkdir()
        corpus = prepared(
            tmp_path / packing,
            texts_of(40, most=9),
            family=family,
            kind=kind,
            packing=packing,  # type: ignore[arg-type]
        )
        assert corpus.rows.plan.split == 0
        model, _ = tiny_model(family, head=head)
        model, loss = model.double(), Supervised(kind)
        made = batches(corpus, batch_size=10**6, max_tokens=300)
        for part in made.at(0):
            if part.labels is None:  # every token of every text is asked for, and none is hidden
                real = part.inputs["attention_mask"].bool()
                labels = part.inputs["input_ids"].masked_fill(~real, IGNORE)
                part = replace(part, labels=labels)
            (term,) = loss(model, part)
            term.total.backward()
        slopes.append([p.grad for p in model.parameters() if p.grad is not None])
    for packed, alone in zip(*slopes, strict=True):
        torch.testing.assert_close(packed, alone, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("family", list(KINDS))
def test_held_out_documents_are_evaluated(tmp_path: Path, family: str) -> None:
    kind = KINDS[family]
    corpus = prepared(tmp_path, TEXTS, family=family, kind=kind, held_out=0.2)
    model, tokenizer = tiny_model(family, head="causal" if family == "gpt2" else "masked")
    encoded = corpus.held_out()
    if family == "gpt2":
        found = outputs(model, encoded, kind, "fp32")
        counts = [len(one) for one in found]
        assert counts == [encoded.length(index) for index in range(len(encoded))]
        assert np.isfinite(np.concatenate([one[:-1] for one in found])).all()
    else:
        hidden = masking(tokenizer).encoded(encoded)
        assert 0 <= masked_accuracy(model, hidden, "fp32") < 1
