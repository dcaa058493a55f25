from pathlib import Path

import pytest

from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.retrieve.searching.texts.passages import Cutting
from leanformer.retrieve.searching.texts.token_counts import TokenCounts

TEXT = "The acting was wonderful; unbelievably slow films, 我爱 rice!\n\nCafé-goers jump. " * 5


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_a_passage_has_as_many_tokens_as_its_words(family: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model(family)
    save_model(model, tokenizer, tmp_path / "m")
    count = TokenCounts(tmp_path / "m")
    passages = Cutting(size=24, overlap=6, unit="tokens").cut(TEXT, count)
    assert len(passages) > 4
    for one in passages:
        tokens = len(tokenizer(one.text, add_special_tokens=False)["input_ids"])
        assert 0 < tokens <= 24 + 1


def test_words_are_counted_once_and_remembered(tmp_path: Path) -> None:
    save_model(*tiny_model("bert"), tmp_path / "m")
    count = TokenCounts(tmp_path / "m")
    assert count(["the", "slow", "the"]) == count(["the", "slow", "the"])
    assert count([]) == []
    assert all(number >= 1 for number in count(["\u200b", "the"]))


def test_a_model_without_a_tokenizer_of_that_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(ValueError, match="no such file, so that no tokens can be counted"):
        TokenCounts(tmp_path / "m")
    (tmp_path / "m" / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer\.json is damaged"):
        TokenCounts(tmp_path / "m")
