import subprocess
import sys
from pathlib import Path

import pytest
import torch
from models.stored_toy import auto, output, said

from leanformer.attention import SlidingWindow
from leanformer.attention.hf.attach import attach
from leanformer.models.io.load import load_model
from leanformer.models.io.quiet import quiet
from leanformer.models.io.save import save_model
from leanformer.models.reversible.decoder import make_reversible
from leanformer.models.tiny import tiny_model
from leanformer.quantize.quantizers.ternary import Ternary
from leanformer.quantize.swap import swap

FAMILIES = pytest.mark.parametrize("family", ["gpt2", "llama"])
AUTO = "AutoModelForCausalLM"


def saved(family: str, folder: Path):
    model, tokenizer = tiny_model(family, head="causal")
    plain = output(model, tokenizer)
    make_reversible(model)
    assert not torch.allclose(output(model, tokenizer), plain)
    save_model(model, tokenizer, folder)
    return model, tokenizer


@FAMILIES
def test_it_comes_back_reversible_through_transformers_and_through_us(
    family: str, tmp_path: Path
) -> None:
    model, tokenizer = saved(family, tmp_path / "m")
    assert said(tmp_path / "m")["model_type"] == f"leanformer-{family}"
    assert said(tmp_path / "m")["quantization_config"] == {"stored_as": "leanformer-reversible"}
    for again in (auto(tmp_path / "m", AUTO), load_model(tmp_path / "m", "causal")[0]):
        assert torch.equal(output(again, tokenizer), output(model, tokenizer))
        with quiet():
            again.save_pretrained(tmp_path / "second")
        second = auto(tmp_path / "second", AUTO)
        assert torch.equal(output(second, tokenizer), output(model, tokenizer))


def test_another_process_generates_after_importing_leanformer_and_is_refused_without(
    tmp_path: Path,
) -> None:
    model, tokenizer = saved("gpt2", tmp_path / "m")
    start = tokenizer("music play", return_tensors="pt")
    expected = model.generate(**start, max_new_tokens=8, do_sample=False)[0].tolist()
    code = (
        "import sys, transformers\n"
        "model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
        "tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "start = tokenizer('music play', return_tensors='pt')\n"
        "print(model.generate(**start, max_new_tokens=8, do_sample=False)[0].tolist())"
    )
    for first in ("import leanformer\n", ""):
        command = [sys.executable, "-c", first + code, str(tmp_path / "m")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if first:
            assert done.stdout.strip() == str(expected), done.stderr
        else:
            assert done.returncode == 1
            assert "leanformer-gpt2" in done.stderr


def test_a_second_form_is_refused_before_anything_is_changed() -> None:
    model, tokenizer = tiny_model("gpt2", head="causal")
    make_reversible(model)
    before = output(model, tokenizer)
    with pytest.raises(ValueError, match="stored as leanformer-reversible already"):
        swap(model, {"transformer.wte": Ternary()})
    with pytest.raises(ValueError, match="stored as leanformer-reversible"):
        attach(model, SlidingWindow(left=3, right=0))
    assert torch.equal(output(model, tokenizer), before)
