from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from train.toy import FAST, TEXTS

from leanformer.core.proof import NoEffect
from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Source, Task, encode_examples
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.train.evaluate import make_evaluator, masked_accuracy
from leanformer.train.loop import fit
from leanformer.train.masking import masking
from leanformer.train.steps.pretrain import MaskedLanguage, Pretrain

SETUP = replace(FAST, epochs=20, checkpoint_seconds=60.0)
TASK = Task(kind="masked-lm")


def workspace(folder: Path, task: Task = TASK) -> Workspace:
    texts = Examples(texts=TEXTS)
    model, tokenizer = tiny_model("bert", head="masked")
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)
    return Workspace(
        name="student", model=model, tokenizer=tokenizer, dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"),
    )  # fmt: skip


def test_the_model_learns_to_fill_in_words(tmp_path: Path) -> None:
    done = Pretrain(train=SETUP, mlm_probability=0.3).apply(workspace(tmp_path))
    (proof,) = done.proofs
    assert proof.claim == "masked_accuracy on dev"
    assert proof.before is not None
    assert proof.after > proof.before + 0.1


def test_accuracy_is_the_share_of_hidden_tokens_that_are_found() -> None:
    model, tokenizer = tiny_model("bert", head="masked")
    encoded = masking(tokenizer, 0.4).encoded(
        encode_examples(Examples(texts=TEXTS), tokenizer, "masked-lm", 32)
    )
    right = asked = 0
    for index in range(len(encoded)):
        batch = encoded.batch([index])
        found = model(**batch.inputs).logits[0].argmax(-1).tolist()
        assert batch.labels is not None
        for guess, label in zip(found, batch.labels[0].tolist(), strict=True):
            right += guess == label
            asked += label != -100
    assert masked_accuracy(model, encoded, "fp32", batch_size=3) == right / asked
    assert make_evaluator(encoded, TASK, precision="fp32")(model) == right / asked


def test_a_batch_in_parts_gives_the_loss_of_the_whole() -> None:
    """Parts hide different numbers of tokens; each counts by how many it has."""
    tokenizer = tiny_tokenizer("bert")
    encoded = encode_examples(Examples(texts=TEXTS), tokenizer, "masked-lm", 32)

    class Fixed(MaskedLanguage):
        def transform_batch(self, batch: Any) -> Any:
            rows = [hidden.batch([index]) for index in batch.index]
            width = batch.inputs["input_ids"].shape[1]
            pad = torch.nn.functional.pad
            ids, labels = [], []
            for row in rows:
                extra = width - row.inputs["input_ids"].shape[1]
                ids.append(pad(row.inputs["input_ids"], (0, extra)))
                labels.append(pad(row.labels, (0, extra), value=-100))
            inputs = {**batch.inputs, "input_ids": torch.cat(ids)}
            return type(batch)(inputs, torch.cat(labels), batch.index)

    hide = masking(tokenizer, 0.4)
    hidden = hide.encoded(encoded)
    losses = []
    for micro in (16, 4096):
        model, _ = tiny_model(
            "bert", head="masked", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )
        setup = replace(SETUP, epochs=1, max_tokens_per_microbatch=micro, precision="fp32")
        losses.append(fit(model, encoded, Fixed(hide), setup).losses)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_it_reads_plain_text_and_what_it_made_is_loaded_for_a_task(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(
        "\n".join(f"{text} {n}" for n in range(9) for text in TEXTS)
    )
    dataset = Source(path=str(tmp_path / "train.txt"), kind="masked-lm").read()
    assert dataset.task == TASK
    done = workspace(tmp_path / "run")
    save_model(done.model, done.tokenizer, tmp_path / "model")
    again, _ = load_model(tmp_path / "model", "masked")
    assert torch.equal(again.cls.predictions.bias, done.model.cls.predictions.bias)
    tagger, _ = load_model(tmp_path / "model", "classification", num_labels=2)
    assert torch.equal(
        tagger.bert.embeddings.word_embeddings.weight,
        done.model.bert.embeddings.word_embeddings.weight,
    )


def test_a_training_without_effect_fails(tmp_path: Path) -> None:
    setup = replace(SETUP, learning_rate=1e-12, epochs=1)
    with pytest.raises(NoEffect, match="masked_accuracy on dev"):
        Pretrain(train=setup).apply(workspace(tmp_path))


def test_another_kind_of_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pretrain: the task is embedding; plain text has kind"):
        Pretrain().apply(workspace(tmp_path, Task(kind="embedding")))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_probability_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=f"mlm_probability: {value} is not above 0 and below 1"):
        Pretrain(mlm_probability=value)
