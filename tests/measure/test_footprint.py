"""Size, memory, work and environment: what is counted rather than timed."""

import json
import platform

import pytest
from runtime_samples import plain_folder

from leanformer.core.machine.process_memory import process_bytes
from leanformer.measure.environment import environment
from leanformer.measure.flops import flops_per_token
from leanformer.measure.peak_memory import peak_memory
from leanformer.measure.size import folder_size, served_size
from leanformer.models.tiny import tiny_model
from leanformer.runtime.manifest import read_manifest, write_manifest


def test_only_the_files_that_the_backend_reads_count(tmp_path):
    folder = tmp_path / "x"
    plain_folder(folder)
    graph = folder / "openvino"
    graph.mkdir(parents=True)
    (graph / "openvino_model_qint8_quantized.xml").write_bytes(b"x" * 10)
    (graph / "openvino_model_qint8_quantized.bin").write_bytes(b"x" * 1000)
    write_manifest(folder, read_manifest(folder))
    weights = (folder / "model.safetensors").stat().st_size
    everything = folder_size(folder).value
    assert served_size(folder).value == everything - 1010
    assert served_size(folder, "openvino", "int8").value == everything - weights


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nowhere is no folder"):
        folder_size(tmp_path / "nowhere")


def test_memory_is_that_of_a_process_that_served(classifier, texts):
    quantity = peak_memory(classifier, texts, threads=1)
    assert 2**25 < quantity.value < 2**32
    assert process_bytes("VmHWM") > 2**25


def test_a_process_that_fails_says_why(tmp_path, texts):
    with pytest.raises(ValueError, match=r"could not be measured: .*not exported by leanformer"):
        peak_memory(tmp_path, texts)


def test_flops_are_those_of_the_matrix_products():
    model, _ = tiny_model("bert", head="embedding", attn_implementation="eager")
    config, tokens = model.config, 13
    width, inner = config.hidden_size, config.intermediate_size
    layer = 2 * (4 * width * width + 2 * width * inner) + 4 * tokens * width
    expected = config.num_hidden_layers * layer + 2 * width * width / tokens  # the pooler reads one
    assert flops_per_token(model, tokens=tokens).value == pytest.approx(expected)
    with pytest.raises(ValueError, match="tokens: 0 is not positive"):
        flops_per_token(model, tokens=0)


def test_the_environment_is_told_in_json():
    told = environment(threads=3)
    assert told["threads"] == 3
    assert told["python"] == platform.python_version()
    assert told["torch"].startswith("2.")
    assert json.loads(json.dumps(told)) == told
