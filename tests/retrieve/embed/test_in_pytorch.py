import pytest

from leanformer.models.tiny import tiny_model
from leanformer.retrieve.embed.in_pytorch import BATCH_TOKENS, predictor_in_pytorch


@pytest.mark.parametrize(("said", "read"), [(16, 16), (32_768, 32_768), (10**30, 8192)])
def test_it_reads_what_the_files_say(said: int, read: int) -> None:
    model, tokenizer = tiny_model("bert", head="embedding")
    tokenizer.model_max_length = said
    predictor = predictor_in_pytorch(model, tokenizer, "embedding", precision="fp32", threads=1)
    assert predictor.system.reader.max_length == predictor.manifest.max_length == read
    assert predictor.system.max_tokens == BATCH_TOKENS
    assert predictor.encode(["the lazy dog"]).shape == (1, 32)
