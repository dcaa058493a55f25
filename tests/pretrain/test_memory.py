from dataclasses import asdict

import pytest
import torch
from pretrain.toy import recipe, write_corpus

from leanformer.core.record import read
from leanformer.data import Batch
from leanformer.models.tiny import tiny_model
from leanformer.pretrain import run
from leanformer.pretrain.memory import foreseen
from leanformer.train import Supervised, TrainSetup
from leanformer.train.account import predict_memory
from leanformer.train.memory import OffloadActivations

LOSS = Supervised("causal-lm")
PLAIN = TrainSetup(precision="fp32")


def batch(rows: int) -> Batch:
    ids = torch.full((rows, 12), 5)
    return Batch(
        {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, ids.clone(), range(rows)
    )


def test_the_largest_microbatch_counts_and_each_rank_has_its_share_of_the_rows() -> None:
    model, _ = tiny_model("gpt2", head="causal")
    found = foreseen(model, LOSS, [batch(2), batch(6), batch(3)], PLAIN, 1)
    assert found == {"account": asdict(predict_memory(model, LOSS, batch(6), PLAIN))}
    shared = foreseen(model, LOSS, [batch(2), batch(6)], PLAIN, 2)
    assert shared == {"account": asdict(predict_memory(model, LOSS, batch(3), PLAIN, 2))}


def test_the_reason_is_given_where_no_formula_knows() -> None:
    model, _ = tiny_model("gpt2", head="causal")
    setup = TrainSetup(precision="fp32", memory=(OffloadActivations(),))
    found = foreseen(model, LOSS, [batch(2)], setup, 1)
    assert found["account"] is None
    assert "offload-activations moves memory elsewhere" in found["without"]


@pytest.mark.parametrize("kind", ["causal-lm", "masked-lm"])
def test_a_run_says_it_at_its_beginning_and_draws_no_chance_for_it(
    kind: str, tmp_path, monkeypatch
) -> None:
    corpus = write_corpus(tmp_path / "corpus.txt")
    ended = run(recipe(corpus, kind), tmp_path / "with")
    said = read(ended.folder / "events.jsonl")[0]["account"]
    assert said["activations"] > said["weights"] / 10
    assert said["optimizer"] >= 2 * said["gradients"]
    monkeypatch.setattr("leanformer.pretrain.training.foreseen", lambda *asked: {})
    assert run(recipe(corpus, kind), tmp_path / "without").evaluation == ended.evaluation
