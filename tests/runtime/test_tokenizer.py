import subprocess
import sys

import pytest
from runtime_samples import TEXTS

from leanformer.models.tiny import FAMILIES, tiny_model
from leanformer.runtime.tokenizer import ServingTokenizer, open_tokenizer

COLUMNS = ("input_ids", "attention_mask", "token_type_ids")


@pytest.mark.parametrize("family", FAMILIES)
def test_it_says_what_transformers_says(family, tmp_path):
    model, tokenizer = tiny_model(family, head="embedding")
    tokenizer.save_pretrained(tmp_path)
    model.config.save_pretrained(tmp_path)
    alone = open_tokenizer(tmp_path)
    assert isinstance(alone, ServingTokenizer)
    assert alone.pad_token_id == (tokenizer.pad_token_id or 0)
    texts, pairs = list(TEXTS), list(reversed(TEXTS))
    for second in (None, pairs):
        for settings in ({}, {"truncation": True, "max_length": 6}):
            expected = tokenizer(texts, second, return_token_type_ids=True, **settings)
            got = alone(texts, second, return_token_type_ids=True, **settings)
            assert got["input_ids"] == expected["input_ids"]
            assert got["attention_mask"] == expected["attention_mask"]
            if family == "bert":
                assert got["token_type_ids"] == expected["token_type_ids"]
    assert alone(texts[0]).char_to_token(4) == tokenizer(texts[0]).char_to_token(4)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer.json is damaged"):
        open_tokenizer(tmp_path)


def test_serving_does_not_import_torch():
    code = (
        "import sys; from leanformer.runtime import predictor, onnx_session, openvino_session; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert ended.returncode == 0
