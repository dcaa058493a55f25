"""What the tests of the runtime and of measuring share: tiny models, texts, plain folders, and fixtures of them."""

from pathlib import Path

import pytest
import torch

from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.numerics.fake_linear import FakeQuantLinear
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.manifest import Manifest, write_manifest

TEXTS = (
    "the film was slow",
    "the acting was wonderful and the answer is light",
    "how many calories are there in a bowl of rice?",
    "jump",
    "un answer, but wonderful!",
    "where is the film of the bowl",
)
LABELS = ("no", "maybe", "yes")


def outputs(graph, calibration):
    """The graph's outputs in PyTorch, text by text."""
    with torch.no_grad():
        return [graph(**batch).numpy()[0] for batch in calibration.tensors(graph.inputs)]


def calibration_of(tokenizer, texts=TEXTS, pairs=None):
    return Calibration(tokenizer=tokenizer, texts=texts, pairs=pairs, max_length=32)


def without_output_grids(model):
    """How many layers rounded their outputs; none does now."""
    layers = [m for m in model.modules() if isinstance(m, FakeQuantLinear)]
    rounding = [layer for layer in layers if layer.output_scale is not None]
    for layer in rounding:
        layer.output_scale = None
    return len(rounding)


def plain_folder(folder: Path, kind="classification", labels=LABELS, pairs=False):
    """A folder that PyTorch serves: no graph, no race."""
    head = "classification" if kind == "regression" else kind
    count = 1 if kind == "regression" else len(labels) or 3
    model, tokenizer = tiny_model("bert", head=head, num_labels=count)
    save_model(model, tokenizer, folder)
    manifest = Manifest(kind=kind, labels=tuple(labels), max_length=32, pairs=pairs)
    write_manifest(folder, manifest)
    return model, tokenizer


def uneven():
    """A BERT whose layers have 4, 2, 1 and 3 heads."""
    model, tokenizer = tiny_model("bert")
    width = model.config.hidden_size
    for layer, heads in zip(model.bert.encoder.layer, (4, 2, 1, 3), strict=False):
        block = layer.attention
        inner = heads * block.self.attention_head_size
        for name in ("query", "key", "value"):
            setattr(block.self, name, torch.nn.Linear(width, inner))
        block.output.dense = torch.nn.Linear(inner, width)
        block.self.num_attention_heads, block.self.all_head_size = heads, inner
    return model.eval(), tokenizer


@pytest.fixture
def texts():
    return list(TEXTS)


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    """A folder that PyTorch serves."""
    folder = tmp_path_factory.mktemp("plain") / "served"
    plain_folder(folder)
    return folder
