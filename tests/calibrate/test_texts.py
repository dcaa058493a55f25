from pathlib import Path

import torch
from quantize.test_quantize_aware import workspace_of

from leanformer.calibrate.texts import training_texts


def test_texts_come_one_by_one_without_padding(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path)
    found = training_texts(workspace, 5, 6)
    assert len(found) == 5
    for batch, text in zip(found, workspace.dataset.train.texts, strict=False):
        ids = workspace.tokenizer(text, truncation=True, max_length=6)["input_ids"]
        assert batch["input_ids"].tolist() == [ids]
        assert torch.equal(batch["attention_mask"], torch.ones(1, len(ids), dtype=torch.long))
    assert len(training_texts(workspace, 1000, 6)) == len(workspace.dataset.train)
