import json
from pathlib import Path
from typing import Any

import pytest
import torch
from attached_cases import QWEN3, SMALL, drawn_model, two_texts
from safetensors.torch import load_file
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BartConfig,
    BartModel,
    BertConfig,
    CLIPTextConfig,
    LongformerConfig,
    LongformerModel,
    Qwen3Config,
    T5Config,
    T5EncoderModel,
)

from leanformer.attention import (
    LSH,
    Fixed,
    GlobalTokens,
    RandomBlocks,
    Routing,
    Sinkhorn,
    SlidingWindow,
)
from leanformer.attention.hf.attach import attach, attached, detach
from leanformer.models.families import FAMILIES, OWN_ATTENTION
from leanformer.models.tiny import tiny_model

EVERYTHING = SlidingWindow(left=999, right=999)
NEAR = SlidingWindow(left=2, right=2) | GlobalTokens(tokens=(0,))


@pytest.mark.parametrize("family", [one for one in FAMILIES if one not in OWN_ATTENTION])
def test_a_window_over_everything_is_dense_attention(family: str) -> None:
    model, _ = tiny_model(family)
    inputs = two_texts()
    dense = model(**inputs).logits
    done = attach(model, EVERYTHING)
    assert done.layers == ((0, 2) if family == "modernbert" else (0, 1, 2)) or len(done.dense) < 4
    assert done.parameters == 0
    torch.testing.assert_close(model(**inputs).logits, dense, rtol=1e-4, atol=1e-5)
    detach(model)
    assert not attached(model)
    assert torch.equal(model(**inputs).logits, dense)


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
def test_padding_changes_nothing(family: str) -> None:
    model, _ = tiny_model(family)
    attach(model, NEAR)
    inputs = two_texts()
    together = model(**inputs).logits[1]
    alone = model(**{key: x[1:, :8] for key, x in inputs.items()}).logits[0]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("mechanism", [EVERYTHING, NEAR, LSH(buckets=4, window=3), Routing()])
def test_text_is_generated_with_a_cache_as_without(family: str, mechanism: Any) -> None:
    model, _ = tiny_model(family, head="causal")
    inputs = two_texts()
    inputs = {key: x.flip(1) for key, x in inputs.items()}  # padding on the left
    settings = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    dense = model.generate(**inputs, **settings)
    attach(model, mechanism)
    cached = model.generate(**inputs, **settings)
    assert torch.equal(cached, model.generate(**inputs, **settings, use_cache=False))
    alone = {key: x[1:, 4:] for key, x in inputs.items()}
    assert torch.equal(model.generate(**alone, **settings)[0, 8:], cached[1, 12:])
    if mechanism is EVERYTHING:
        assert torch.equal(cached, dense)


def test_each_layer_can_have_its_own() -> None:
    model, _ = tiny_model("bert")
    done = attach(model, {0: NEAR, 2: LSH(buckets=4)})
    assert (done.layers, done.dense) == ((0, 2), (1,))
    kinds = {name: type(core).__name__ for name, core in attached(model).items()}
    assert kinds == {
        "bert.encoder.layer.0.attention.self": "PatternAttention",
        "bert.encoder.layer.2.attention.self": "LSHAttention",
    }
    assert attach(model, NEAR, layers=[1]).layers == (1,)
    assert len(attached(model)) == 3


def test_layers_that_share_a_module_share_its_mechanism() -> None:
    config = AlbertConfig(
        hidden_size=32, num_attention_heads=4, num_hidden_layers=3, intermediate_size=48,
        embedding_size=16, vocab_size=60,
    )  # fmt: skip
    model = AlbertModel(config).eval()
    inputs = two_texts()
    dense = model(**inputs).last_hidden_state
    assert attach(model, EVERYTHING).layers == (0,)
    torch.testing.assert_close(model(**inputs).last_hidden_state[0], dense[0], rtol=1e-4, atol=1e-5)


def test_the_decoder_sees_the_encoder_densely() -> None:
    config = BartConfig(
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=32, decoder_ffn_dim=32, vocab_size=60,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = BartModel(config).eval()
    inputs = two_texts()
    dense = model(**inputs, decoder_input_ids=inputs["input_ids"][:, :5]).last_hidden_state
    done = attach(model, EVERYTHING)
    assert len(done.layers) == 2
    assert len(done.dense) == 1
    found = model(**inputs, decoder_input_ids=inputs["input_ids"][:, :5]).last_hidden_state
    torch.testing.assert_close(found, dense, rtol=1e-4, atol=1e-5)


def test_layers_with_their_own_window_stay_dense() -> None:
    model, _ = tiny_model("modernbert")
    done = attach(model, NEAR)
    assert done.dense
    with pytest.raises(ValueError, match=r"layer 1 \(.*asks for .*\(a sliding window\)"):
        attach(model, NEAR, layers=[done.dense[0]])


@pytest.mark.parametrize("family", ["bert", "gpt2", "modernbert"])
def test_it_is_saved_and_loads_through_transformers(family: str, tmp_path: Path) -> None:
    head = "causal" if family == "gpt2" else "classification"
    model, _ = tiny_model(family, head=head)
    attach(model, LSH(buckets=4, window=2, seed=3))
    for core in attached(model).values():
        core.rotations.mul_(-1)  # as if they had been drawn otherwise
    model.save_pretrained(tmp_path)
    assert any("efficient_attention" in key for key in load_file(tmp_path / "model.safetensors"))
    saved = json.loads((tmp_path / "config.json").read_text())["quantization_config"]
    assert saved["stored_as"] == "leanformer-attention"
    kind = AutoModelForCausalLM if family == "gpt2" else AutoModelForSequenceClassification
    loaded = kind.from_pretrained(tmp_path).eval()
    inputs = two_texts()
    assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)
    loaded.save_pretrained(tmp_path / "again")
    again = kind.from_pretrained(tmp_path / "again").eval()
    assert torch.equal(again(**inputs).logits, model(**inputs).logits)


def test_a_folder_with_fields_by_their_former_names_still_loads(tmp_path: Path) -> None:
    model, _ = tiny_model("bert")
    nearby = RandomBlocks(num_random_blocks=1, block_size=4) | Fixed(block_size=4, summary=1)
    attach(model, {0: LSH(buckets=4, num_hashes=2, window=3, shared_qk=True), 1: nearby})
    attach(model, {2: Sinkhorn(block_size=4, n_top=1)})
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    lsh, union, sinkhorn = (
        layer["mechanism"] for layer in config["quantization_config"]["layers"].values()
    )
    lsh["rounds"], lsh["shared"], lsh["chunks"] = (
        lsh.pop(name) for name in ("num_hashes", "shared_qk", "full_chunks")
    )
    random, fixed = union["patterns"]
    random["count"], random["size"] = (
        random.pop(name) for name in ("num_random_blocks", "block_size")
    )
    fixed["stretch"] = fixed.pop("block_size")
    sinkhorn["cut"], sinkhorn["size"] = (sinkhorn.pop(name) for name in ("n_top", "block_size"))
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.warns(FutureWarning, match=r"mechanism\.rounds is called num_hashes now"):
        loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    inputs = two_texts()
    assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)


def test_an_unknown_mechanism_on_disk_is_named(tmp_path: Path) -> None:
    model, _ = tiny_model("bert", head="embedding")
    attach(model, NEAR)
    model.save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text().replace("sliding-window", "sliding-widow")
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"self\.mechanism.*'sliding-widow' is no mechanism"):
        AutoModel.from_pretrained(tmp_path)


def test_it_compiles_as_one_graph() -> None:
    model, _ = tiny_model("bert")
    attach(model, NEAR)
    inputs = two_texts()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(**inputs).logits, model(**inputs).logits)


def test_recomputed_layers_have_the_same_gradients() -> None:
    gradients = []
    for recompute in (False, True):
        model, _ = tiny_model("bert")
        attach(model, NEAR)
        if recompute:
            model.gradient_checkpointing_enable()
        for dropout in (m for m in model.modules() if isinstance(m, torch.nn.Dropout)):
            dropout.p = 0.0
        model.config.attention_probs_dropout_prob = 0.0
        for layer in model.bert.encoder.layer:
            layer.attention.self.dropout.p = 0.0
        model.train()(**two_texts()).logits.square().sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_models_that_keep_their_own_attention_are_refused() -> None:
    config = LongformerConfig(
        hidden_size=32, num_attention_heads=4, num_hidden_layers=1, intermediate_size=48,
        attention_window=4, vocab_size=60, max_position_embeddings=70,
    )  # fmt: skip
    model = LongformerModel(config)
    with pytest.raises(ValueError, match=r"LongformerModel.*nothing was changed"):
        attach(model, NEAR)
    t5 = T5EncoderModel(
        T5Config(d_model=32, d_kv=8, num_heads=4, num_layers=1, d_ff=32, vocab_size=60)
    )
    with pytest.raises(ValueError, match=r"T5EncoderModel: no layer.*asks for position_bias"):
        attach(t5, NEAR)


def test_what_does_not_fit_is_refused_before_anything_changes() -> None:
    model, _ = tiny_model("bert")
    with pytest.raises(ValueError, match=r"there is no layer 7; the model has 3"):
        attach(model, {0: NEAR, 7: NEAR})
    assert not attached(model)
    assert model.config._attn_implementation != "leanformer-attention"
    model.config.quantization_config = {"quant_method": "leanformer"}
    with pytest.raises(ValueError, match="layers of the model are not plain ones"):
        attach(model, NEAR)


def test_a_mask_of_all_pairs_is_refused() -> None:
    model, _ = tiny_model("bert", head="embedding")
    attach(model, NEAR)
    inputs = two_texts()
    square = torch.zeros(2, 1, 12, 12)
    with pytest.raises(ValueError, match=r"attention_mask \(one of T x S.*leave the layer dense"):
        model(inputs["input_ids"], attention_mask=square)


@pytest.mark.parametrize(
    ("config", "causal"),
    [
        (CLIPTextConfig(**SMALL, num_attention_heads=4, eos_token_id=59), True),
        (Qwen3Config(**QWEN3), True),
        (Qwen3Config(**QWEN3, is_causal=False), False),
        (BertConfig(**SMALL, num_attention_heads=4), False),
        (BertConfig(**SMALL, num_attention_heads=4, is_decoder=True), True),
    ],
    ids=["clip-text", "qwen3", "qwen3-encoder", "bert", "bert-decoder"],
)
def test_causality_is_that_of_the_calls(config: Any, causal: bool) -> None:
    model, inputs = drawn_model(config), two_texts()
    shown = inputs["attention_mask"].bool()
    dense = model(**inputs).last_hidden_state
    attach(model, EVERYTHING)
    assert {core.heads.causal for core in attached(model).values()} == {causal}
    found = model(**inputs).last_hidden_state
    torch.testing.assert_close(found[shown], dense[shown], rtol=1e-4, atol=1e-4)
    changed = dict(inputs, input_ids=inputs["input_ids"].index_fill(1, torch.tensor([7]), 50))
    blind = torch.equal(model(**changed).last_hidden_state[:, :7], found[:, :7])
    assert blind == causal


def test_detached_models_attend_as_they_did_before() -> None:
    model, _ = tiny_model("bert")
    model.set_attn_implementation("eager")
    attach(model, NEAR)
    attach(model, EVERYTHING, layers=[0])
    detach(model)
    assert model.config._attn_implementation == "eager"
