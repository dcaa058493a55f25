"""A student with phrases learns from the teacher whose vocabulary they were made from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from distill.test_step import SETUP, workspace

from leanformer.core.workspace import Workspace
from leanformer.distill.objectives import AttentionMaps, Cosine, HiddenStates, SoftTargets
from leanformer.distill.step import Distill
from leanformer.prune.cut_vocabulary import CutVocabulary

SHORT = replace(SETUP, epochs=2)
OBJECTIVES = {
    "classification": (SoftTargets(), HiddenStates(weight=0.1)),
    "tokens": (SoftTargets(), HiddenStates(weight=0.1)),
    "embedding": (Cosine(), HiddenStates(weight=0.1)),
}


def with_phrases(folder: Path, kind: Any) -> Workspace:
    cut = CutVocabulary(phrases=8, phrase_min_count=2)
    return cut.apply(workspace(folder, kind))


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_it_learns_with_and_without_a_cache(kind: str, tmp_path: Path) -> None:
    ends = []
    for cache in (None, tmp_path / "cache"):
        given = with_phrases(tmp_path / str(cache is None), kind)
        step = Distill(
            objectives=OBJECTIVES[kind],
            train=replace(SHORT, precision="fp32"),
            teacher_cache=cache,
            load_best_at_end=False,
            require_improvement=False,
        )
        begun = given.model.get_input_embeddings().weight.detach().clone()
        ends.append(step.apply(given).model.get_input_embeddings().weight.detach())
        assert not torch.equal(ends[-1][-1], begun[-1])  # a phrase is learned
    torch.testing.assert_close(ends[1], ends[0])


def test_quality_rises_as_without_phrases(tmp_path: Path) -> None:
    given = with_phrases(tmp_path, "classification")
    done = Distill(objectives=OBJECTIVES["classification"], train=SETUP).apply(given)
    (quality,) = done.proofs
    assert quality.before is not None
    assert quality.after > quality.before


def test_a_cache_is_of_its_phrases(tmp_path: Path) -> None:
    step = Distill(train=SHORT, teacher_cache=tmp_path / "cache", require_improvement=False)
    step.apply(with_phrases(tmp_path, "classification"))
    other = CutVocabulary(phrases=1, phrase_min_count=2).apply(
        workspace(tmp_path / "b", "classification")
    )
    with pytest.raises(ValueError, match="holds the outputs of another teacher, of other texts"):
        step.apply(other)


def test_attention_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    step = Distill(objectives=(AttentionMaps(),), train=SHORT)
    with pytest.raises(ValueError, match="attention-maps compares what each token attends to"):
        step.apply(with_phrases(tmp_path, "classification"))
