import subprocess
import sys

import pytest
from runtime_samples import plain_folder

from leanformer.models.embedding import Embedding, describe_embedding
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.runtime.tokenizer import open_tokenizer


def test_it_cuts_texts_to_what_the_folder_says(tmp_path):
    _, tokenizer = plain_folder(tmp_path)
    reader = open_tokenizer(tmp_path)
    assert reader.max_length == 32
    assert reader("the film was slow").tokens == tokenizer("the film was slow").tokens()


def test_a_folder_that_was_not_exported_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="was not exported by leanformer"):
        open_tokenizer(tmp_path)


def test_serving_does_not_import_torch():
    code = (
        "import sys; from leanformer.runtime.serving import predictor; "
        "from leanformer.runtime.onnx import session; from leanformer.runtime.openvino import session; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert ended.returncode == 0


def test_a_default_prompt_is_read_before_every_text(tmp_path):
    model, tokenizer = tiny_model("bert", head="embedding")
    described = Embedding(prompts={"q": "where is ", "d": "no"}, default_prompt_name="q")
    describe_embedding(model, tokenizer, described)
    save_model(model, tokenizer, tmp_path / "m")
    write_manifest(tmp_path / "m", Manifest(kind="embedding", max_length=32))
    (reading,) = open_tokenizer(tmp_path / "m").read(["the film"])
    assert reading.ids == tokenizer("where is the film")["input_ids"]
