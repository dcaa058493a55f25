import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from distill.students.given import teacher, workspace
from transformers import BertForMultipleChoice

from leanformer.core.proof import NoEffect
from leanformer.distill.students.source import check_teacher, ending_of, prove_student, with_student
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.cutting.layers import keep_layers
from leanformer.models.tiny import tiny_model
from leanformer.prune.cut_vocabulary import CutVocabulary


def test_a_workspace_without_teacher_is_refused(tmp_path: Path) -> None:
    given = workspace(tmp_path).with_(teacher=None)
    with pytest.raises(ValueError, match="no trained teacher to make a student from; name one"):
        check_teacher(given)


def test_a_cut_vocabulary_is_not_undone(tmp_path: Path) -> None:
    given = workspace(tmp_path)
    check_teacher(given)
    cut = CutVocabulary().apply(given)
    with pytest.raises(ValueError, match=r"was cut to \d+ of the teacher's 158 pieces, and a new"):
        check_teacher(cut)


def test_the_student_reads_with_the_teachers_tokenizer(tmp_path: Path) -> None:
    given = workspace(tmp_path, theirs=teacher())
    student = copy.deepcopy(given.teacher)
    keep_layers(student, [0])
    other = object()
    assert with_student(given, student, 1, "").tokenizer is given.tokenizer
    assert with_student(given.with_(teacher_tokenizer=other), student, 1, "").tokenizer is other


def test_the_proofs_count_what_there_is() -> None:
    big = teacher()
    small = copy.deepcopy(big)
    keep_layers(small, [0, 2])
    layers, inner, whole = prove_student(big, small, 2, "why")
    assert (layers.before, layers.after, layers.asked, layers.note) == (3, 2, 2, "why")
    assert inner.before == sum(p.numel() for p in big.bert.encoder.parameters())
    assert inner.after == sum(p.numel() for p in small.bert.encoder.parameters())
    assert whole.before == sum(p.numel() for p in big.parameters())
    assert all(proof.ok for proof in (layers, inner, whole))


def test_a_student_as_large_as_its_teacher_fails_loudly(tmp_path: Path) -> None:
    given = workspace(tmp_path, theirs=teacher())
    with pytest.raises(NoEffect, match=r"parameters of the layers: was (\S+) and is \1"):
        with_student(given, copy.deepcopy(given.teacher), 3, "")
    with pytest.raises(NoEffect, match="layers: was 3 and is 3, asked for 2"):
        with_student(given, copy.deepcopy(given.teacher), 2, "")


def uneven() -> Any:
    bert = teacher()
    keep_heads(bert, [[0], [0, 1], [0, 1, 2]])
    return bert


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (uneven, "architecture 'lean-bert', and this student is made from Bert with layers of one shape"),
        (lambda: tiny_model("roberta")[0], "the teacher is a RobertaForSequenceClassification of architecture 'roberta', and this student is made from Bert"),
        (lambda: torch.nn.Linear(2, 2), "the teacher is a Linear of architecture 'Linear'"),
        (lambda: BertForMultipleChoice(teacher().config), "BertForMultipleChoice, whose head this student has not"),
        (lambda: teacher("masked", is_decoder=True), r"a decoder \(is_decoder\)"),
    ],
)  # fmt: skip
def test_what_no_student_is_made_from(made: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"a student: .*{message}"):
        ending_of(made(), "a student")
