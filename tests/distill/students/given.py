"""A tiny BERT teacher in a workspace, and inputs of odd lengths with padding."""

from pathlib import Path
from typing import Any

import torch

from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Task
from leanformer.models.tiny import tiny_model

ENDING = {
    "embedding": "Model",
    "masked": "ForMaskedLM",
    "classification": "ForSequenceClassification",
    "tokens": "ForTokenClassification",
}
TEXTS = Examples(texts=["play some music", "a bowl of rice"], labels=[0, 1])


def teacher(head: str = "classification", **settings: Any) -> Any:
    return tiny_model("bert", head=head, seed=1, **settings)[0]


def workspace(
    folder: Path, *, model: Any = None, theirs: Any = None, family: str = "bert"
) -> Workspace:
    """`model` with `theirs` as its teacher; where none is named the model is its own teacher."""
    tiny, tokenizer = tiny_model(family)
    model = tiny if model is None else model
    dataset = Dataset(
        name="toy", task=Task(kind="classification", labels=("a", "b", "c")),
        train=TEXTS, dev=TEXTS, test=TEXTS,
    )  # fmt: skip
    return Workspace(
        name="student", model=model, tokenizer=tokenizer, dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"), teacher=model if theirs is None else theirs,
        teacher_tokenizer=tokenizer,
    )  # fmt: skip


def inputs(vocabulary: int = 158, width: int = 13) -> dict[str, torch.Tensor]:
    """Two texts of 13 and 7 tokens."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, vocabulary, (2, width), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}


def hidden_states(model: Any, **changes: Any) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        return tuple(model(**{**inputs(), **changes}, output_hidden_states=True).hidden_states)


def reaches_every_parameter(model: Any, *, but: tuple[str, ...] = ()) -> None:
    """One backward pass gives every parameter a finite gradient."""
    output = model(**inputs())
    main = output.logits if hasattr(output, "logits") else output.last_hidden_state
    main.square().mean().backward()
    for name, parameter in model.named_parameters():
        if not any(part in name for part in but):
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().sum() > 0, name


def same_after_saving(model: Any, folder: Path) -> None:
    """Written as safetensors and read by from_pretrained, it says the same."""
    model.save_pretrained(folder)
    assert (folder / "model.safetensors").is_file()
    assert not list(folder.glob("*.bin"))
    again = type(model).from_pretrained(folder).eval()
    assert again.config.id2label == model.config.id2label
    with torch.no_grad():
        for ours, theirs in zip(model(**inputs())[:1], again(**inputs())[:1], strict=True):
            assert torch.equal(ours, theirs)
