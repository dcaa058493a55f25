from typing import Any

import pytest
import torch
from attention_cases import built, heads_of, random_text
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention import Synthesizer
from leanformer.attention.mechanisms.synthesizer import factors

FORMS = ("dense", "random", "factorized-dense", "factorized-random")


def naive(form: str, attention: Any, query: Tensor, head: int) -> Tensor:
    """The scores of one head of one text, [T, T], place by place."""
    made, length = attention.synthetic, query.shape[0]
    if form == "random":
        return made.tables[0, head, :length, :length]
    if form == "factorized-random":
        return (made.tables[0, head] @ made.tables[1, head].T)[:length, :length]
    rows = []
    for token in query:
        hidden = (token @ made.w1[head] + made.b1[head, 0]).relu()
        out = hidden @ made.w2[head] + made.b2[head, 0]
        if form == "factorized-dense":
            a, b = factors(300)
            out = torch.stack([out[s // b] * out[a + s % b] for s in range(length)])
        rows.append(out[:length])
    return torch.stack(rows)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_it_is_the_equation_of_the_paper(form: Any, mix: bool, causal: bool) -> None:
    attention: Any = built(Synthesizer(scores=form, mix=mix, rank=3), causal)
    query, key, value = random_text(23)
    found = attention(query, key, value, scaling=0.6)
    for text in range(2):
        for head in range(4):
            scores = naive(form, attention, query[text, head], head)
            if mix:
                one, two = attention.alphas.exp() / attention.alphas.exp().sum()
                scores = one * scores + two * 0.6 * query[text, head] @ key[text, head].T
            if causal:
                scores = scores.masked_fill(torch.ones_like(scores).triu(1) > 0, -torch.inf)
            expected = scores.softmax(-1) @ value[text, head]
            torch.testing.assert_close(found[text, head], expected)


@pytest.mark.parametrize("form", FORMS)
def test_without_the_mix_no_token_is_compared(form: Any) -> None:
    attention = built(Synthesizer(scores=form))
    (query, key, value), other = random_text(20), random_text(20, seed=1)
    assert torch.equal(attention(query, key, value), attention(query, other.key, value))
    same = torch.equal(attention(query, key, value), attention(other.query, key, value))
    assert same == ("dense" not in form)


def test_factors_are_about_equal_and_cover_the_length() -> None:
    for length in (1, 2, 7, 300, 512, 4097):
        a, b = factors(length)
        assert length <= a * b < length + max(a, b)
        assert abs(a - b) <= 0.1 * a + 2


def test_new_scores_have_variance_one() -> None:
    torch.manual_seed(0)
    query = random_text(200, 8).query
    for form in FORMS:
        mechanism = Synthesizer(scores=form)  # type: ignore[arg-type]
        attention: Any = mechanism.build(heads_of(mechanism, False)).double()
        scores = attention.synthetic(query, torch.arange(200).expand(8, -1), 200)
        assert 0.5 < scores.std() < 2


def test_fixed_scores_come_from_the_seed_and_are_no_parameters() -> None:
    def fixed(seed: int) -> Any:
        mechanism = Synthesizer(scores="factorized-random", trainable=False, seed=seed)
        return mechanism.build(heads_of(mechanism, False))

    torch.manual_seed(3)
    first = fixed(0)
    torch.manual_seed(4)
    assert torch.equal(first.synthetic.tables, fixed(0).synthetic.tables)
    assert not torch.equal(first.synthetic.tables, fixed(1).synthetic.tables)
    assert not list(first.parameters())
    assert "synthetic.tables" in first.state_dict()


def test_the_mix_begins_with_equal_shares() -> None:
    mechanism = Synthesizer(mix=True)
    attention: Any = mechanism.build(heads_of(mechanism, False))
    with torch.no_grad():
        attention.synthetic.tables.zero_()
    query, key, value = (x.float() for x in random_text(12))
    halved = F.scaled_dot_product_attention(query, key, value, scale=0.5 * 8**-0.5)
    torch.testing.assert_close(attention(query, key, value), halved)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_several_blocks_are_those_of_one(form: Any) -> None:
    attention: Any = built(Synthesizer(scores=form, mix=True), True)
    text = [x.requires_grad_() for x in random_text(290)]
    inputs = [*text, *attention.parameters()]
    found = torch.autograd.grad(attention(*text).square().sum(), inputs)
    keep, at = torch.ones(2, 290, dtype=torch.bool), torch.arange(290).expand(2, -1)
    whole = attention.reference(*text, keep, at, scaling=8**-0.5)
    expected = torch.autograd.grad(whole.square().sum(), inputs)
    torch.testing.assert_close(found, expected)


def test_longer_texts_are_refused_and_longer_padding_is_not() -> None:
    attention = built(Synthesizer(scores="dense"))
    text = random_text(301)
    with pytest.raises(ValueError, match="texts of 301 places and parameters for 300"):
        attention(*text)
    keep = torch.ones(2, 301, dtype=torch.bool)
    keep[:, 20:] = False
    alone = attention(*(x[:, :, :20] for x in text))
    torch.testing.assert_close(attention(*text, keep)[:, :, :20], alone)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="rank: 0 is not at least 1"):
        Synthesizer(rank=0)
    with pytest.raises(ValueError, match="trainable: False, and factorized-dense scores"):
        Synthesizer(scores="factorized-dense", trainable=False)
