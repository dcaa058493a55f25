"""A teacher reads phrases spelled out, and is compared where the student has one token."""

from typing import Any

import pytest
import torch
from distill.toy import model_for
from torch import Tensor

from leanformer.data import Batch, Examples, Task, encode_examples
from leanformer.distill.distillation import Distillation, outputs_of
from leanformer.distill.objectives import AttentionScores, HiddenStates, SoftTargets
from leanformer.distill.teachers.reading import have_one_vocabulary
from leanformer.distill.teachers.translation import (
    check_room,
    check_spread,
    phrases_of,
    strangers,
    translation,
)
from leanformer.models.cutting.phrase_tokens import add_phrases
from leanformer.models.cutting.vocabulary import cut_vocabulary
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer

WHOLE = tiny_tokenizer("bert")
TEXTS = ["how do i get rice", "music", "turn the topup down, how do i"]
PHRASES = ["how do i", "topup"]
KIND = "classification"


def student_of(kind: str = KIND, **settings: Any) -> tuple[Any, Any]:
    """A model with a cut vocabulary and phrases, and its tokenizer."""
    model = model_for(kind, seed=1, **settings)
    cut, _ = cut_vocabulary(model, WHOLE, TEXTS)
    return model, add_phrases(model, cut, PHRASES)


def batch_of(tokenizer: Any, kind: Any = KIND) -> Batch:
    return encode_examples(Examples(texts=TEXTS), tokenizer, kind, 32).batch([0, 1, 2])


def parts_of(tokenizer: Any, text: str) -> list[list[int]]:
    """The teacher's ids of each token of the student, one token at a time."""
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])
    spelled = {phrase: WHOLE.tokenize(phrase) for phrase in PHRASES}
    return [WHOLE.convert_tokens_to_ids(spelled.get(token, [token])) for token in tokens]


def test_the_teacher_reads_what_it_would_have_read() -> None:
    _, tokenizer = student_of()
    table = translation(tokenizer, WHOLE)
    assert table is not None
    assert table.spreads
    spread = table.read(batch_of(tokenizer).inputs)
    expected = batch_of(WHOLE).inputs
    assert set(spread.inputs) == set(expected)
    for name, value in expected.items():
        assert torch.equal(spread.inputs[name], value)


def test_pairs_keep_the_types_of_their_texts() -> None:
    _, tokenizer = student_of()
    table = translation(tokenizer, WHOLE)
    assert table is not None
    pairs = Examples(texts=TEXTS, pairs=TEXTS[::-1])
    ours, theirs = (
        encode_examples(pairs, one, KIND, 64).batch([0, 1, 2]).inputs for one in (tokenizer, WHOLE)
    )
    found = table.read(ours).inputs
    for name, value in theirs.items():
        assert torch.equal(found[name], value)


def test_states_are_means_of_parts_and_answers_those_of_the_first() -> None:
    _, tokenizer = student_of()
    table, teacher = translation(tokenizer, WHOLE), model_for("tokens")
    assert table is not None
    inputs = batch_of(tokenizer).inputs
    spread = table.read(inputs)
    with torch.no_grad():
        said = outputs_of(teacher, spread.inputs, "tokens", hidden=True)
        found = spread.gathered(said, inputs["attention_mask"].bool())
        for row, text in enumerate(TEXTS):
            alone = teacher(**WHOLE(text, return_tensors="pt"), output_hidden_states=True)
            start = 0
            for token, parts in enumerate(parts_of(tokenizer, text)):
                end = start + len(parts)
                close(found.logits[row, token], alone.logits[0, start])
                for ours, theirs in zip(found.hidden, alone.hidden_states, strict=True):
                    close(ours[row, token], theirs[0, start:end].mean(0))
                start = end
            assert not found.hidden[0][row, len(parts_of(tokenizer, text)) :].any()
    assert torch.equal(found.keep, inputs["attention_mask"].bool())


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_the_gradient_is_that_of_comparing_token_by_token() -> None:
    student, tokenizer = student_of(num_hidden_layers=2)
    teacher, task = model_for(KIND), Task(kind=KIND, labels=("a", "b"))
    table = translation(tokenizer, WHOLE)
    batch = batch_of(tokenizer)
    objective = (HiddenStates(levels=(0, 1, 3)),)
    loss = Distillation(objective, student, teacher, task, table, precision="fp32")
    (term,) = loss(student, batch)
    term.total.backward()
    found = {name: p.grad.clone() for name, p in student.named_parameters() if p.grad is not None}

    student.zero_grad()
    squares, tokens = [], 0
    for text in TEXTS:
        own = student(**tokenizer(text, return_tensors="pt"), output_hidden_states=True)
        with torch.no_grad():
            other = teacher(**WHOLE(text, return_tensors="pt"), output_hidden_states=True)
        start = 0
        for token, parts in enumerate(parts_of(tokenizer, text)):
            for ours, level in enumerate((0, 1, 3)):
                states = other.hidden_states[level][0, start : start + len(parts)]
                squares.append((own.hidden_states[ours][0, token] - states.mean(0)).pow(2).mean())
            start, tokens = start + len(parts), tokens + 1
    total = torch.stack(squares).sum() / 3
    torch.testing.assert_close(term.total.detach(), total.detach(), rtol=1e-4, atol=1e-5)
    total.backward()
    assert found["bert.embeddings.word_embeddings.weight"][len(tokenizer) - 1].any()
    for name, slope in found.items():
        expected = student.get_parameter(name).grad
        torch.testing.assert_close(slope, expected, rtol=1e-3, atol=1e-4)


def test_byte_level_phrases_are_spelled_with_the_space_before_them() -> None:
    model, whole = tiny_model("roberta")
    tokenizer = add_phrases(model, whole, ["how do i"])
    table = translation(tokenizer, whole)
    assert table is not None
    encoded = encode_examples(Examples(texts=["so how do i get"]), tokenizer, KIND, 32)
    found = table.read(encoded.batch([0]).inputs)
    assert found.inputs["input_ids"].tolist() == [whole("so how do i get")["input_ids"]]


def test_phrases_are_no_strangers_and_other_tokens_are() -> None:
    _, tokenizer = student_of()
    assert phrases_of(tokenizer) == {"how do i": False, "topup": False}
    assert strangers(tokenizer, WHOLE) == []
    assert have_one_vocabulary(tokenizer, [WHOLE])
    assert not have_one_vocabulary(WHOLE, [tokenizer])
    assert "fox" in strangers(WHOLE, tokenizer)


def test_a_text_too_long_for_the_teacher_is_refused_with_a_length_that_fits() -> None:
    _, tokenizer = student_of()
    table = translation(tokenizer, WHOLE)
    texts = Examples(texts=["music", "how do i " * 12])
    short = model_for(KIND, max_position_embeddings=30)
    encoded = encode_examples(texts, tokenizer, KIND, 64)
    message = r"max_length: a text is 14 tokens .* are \d+ tokens of the teacher, and it reads 30; "
    with pytest.raises(ValueError, match=message + r"set max_length to (\d+) or less") as error:
        check_room(table, encoded, [model_for(KIND), short])
    fits = int(str(error.value).split("max_length to ")[1].split()[0])
    check_room(table, encode_examples(texts, tokenizer, KIND, fits), [short])
    with pytest.raises(ValueError, match="max_length"):
        check_room(table, encode_examples(texts, tokenizer, KIND, fits + 1), [short])
    check_room(None, encoded, [short])


def test_what_needs_one_token_for_one_is_refused() -> None:
    _, tokenizer = student_of()
    table = translation(tokenizer, WHOLE)
    with pytest.raises(ValueError, match="objectives: attention-scores compares what each token"):
        check_spread(table, (SoftTargets(), AttentionScores()), KIND)
    with pytest.raises(ValueError, match="distill: masked-lm compares the words that both models"):
        check_spread(table, (SoftTargets(),), "masked-lm")
    check_spread(table, (SoftTargets(), HiddenStates()), "tokens")
    check_spread(None, (AttentionScores(),), "masked-lm")


def test_translation_finds_each_token_of_a_cut_vocabulary() -> None:
    whole = tiny_tokenizer("bert")
    assert translation(whole, tiny_tokenizer("bert")) is None
    vocabulary = whole.get_vocab()
    kept = [token for token in sorted(vocabulary, key=vocabulary.get) if "x" not in token]
    small = type(whole)(vocab={token: index for index, token in enumerate(kept)})
    table = translation(small, whole)
    assert table is not None
    assert not table.spreads
    assert [whole.convert_ids_to_tokens(int(index)) for index in table.parts_VP[:, 0]] == kept
    text = "the quiet mountains"
    ids = torch.tensor(small(text)["input_ids"])
    assert table.parts_VP[ids, 0].tolist() == whole(text)["input_ids"]
    with pytest.raises(
        ValueError, match=r"the student's tokenizer has \d+ tokens that the teacher's"
    ):
        translation(whole, small)
