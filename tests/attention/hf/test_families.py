"""Every model family of transformers: dense attention by a window over everything, or refused."""

import inspect
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from tiny_families import batch, candidates, model_class, reads_text, tiny_family
from torch import Tensor
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from leanformer.attention import SlidingWindow
from leanformer.attention.hf.attach import attach, attached, detach
from leanformer.models.attention.implementations import implementations

EVERYTHING = SlidingWindow(left=999, right=999)
NEAR = SlidingWindow(left=1, right=0)
CLOSE = {"rtol": 1e-3, "atol": 1e-4}

# Families that people use, of which none may be refused.
SERVED = {
    "albert", "bart", "bert", "camembert", "clip_text_model", "distilbert", "electra", "eurobert",
    "gemma", "gemma3_text", "gpt2", "gpt_neox", "llama", "marian", "mbart", "mixtral", "modernbert",
    "olmo2", "opt", "pegasus", "phi3", "qwen2", "qwen3", "qwen3_moe", "roberta", "xlm-roberta",
}  # fmt: skip
# Families that take token ids and do not run on them alone; attach must refuse them by name.
READS_MORE = {
    **dict.fromkeys(
        (
            "aimv2", "altclip", "blip", "blip-2", "bridgetower", "chinese_clip", "clip", "clipseg",
            "groupvit", "idefics", "instructblip", "instructblipvideo", "kosmos-2", "lxmert",
            "metaclip_2", "owlv2", "owlvit", "sam3", "sam3_lite_text", "siglip", "siglip2", "vilt",
            "vision-text-dual-encoder",
        ),
        "an image",
    ),
    **dict.fromkeys(("videoprism", "xclip"), "a video"),
    **dict.fromkeys(("clvp", "dia", "kyutai_speech_to_text", "voxtral_realtime"), "sound"),
    **dict.fromkeys(("bros", "udop"), "boxes of words"),
    "pi0": "actions",
}  # fmt: skip
# Families of which no model is made here, and why.
NOT_TINY = {
    **dict.fromkeys(
        (
            "align", "blt", "clap", "dots3_note_text", "fastspeech2_conformer_with_hifigan",
            "florence2", "grounding-dino", "janus", "llama4", "mm-grounding-dino", "pe_audio",
            "seamless_m4t", "seamless_m4t_v2", "tvp", "vibevoice", "vibevoice_asr", "vits",
        ),
        "a part of it has sizes that no rule shrinks, and stays large",
    ),
    **dict.fromkeys(
        (
            "apertus1p5", "csm", "ernie4_5_vl_moe", "fun_asr_nano", "gradium_phonon_tts",
            "layoutlmv3", "lilt", "longcat_flash", "molmo2", "muse_spark", "nemo_speechlm",
            "paligemma", "pocket_tts", "zamba",
        ),
        "sizes of its parts are bound to each other in ways that no rule knows",
    ),
    **dict.fromkeys(
        (
            "chameleon", "cohere_compass", "cohere_compass_text", "dbrx", "deepseek_ocr2",
            "diffusion_gemma", "dots3_note", "emu3", "granite4_vision", "hunyuan_vl",
            "hunyuan_vl_text", "musicgen", "musicgen_melody", "qwen2_5_omni_thinker",
            "qwen3_omni_moe_thinker", "qwen4_exp", "qwen4_exp_text", "step3p7",
            "t5gemma2_encoder", "voxtral_realtime_text",
        ),
        "its configuration makes no model unless more is said than sizes",
    ),
}  # fmt: skip
# Families that need a package which is not among ours.
NEEDS = {
    "fast_vlm": "timm",
    "gemma3n": "timm",
    "higgs_audio_v2_tokenizer": "torchaudio",
    "layoutlmv2": "detectron2",
    "pe_audio_video": "timm",
    "pe_video": "timm",
    "perception_lm": "timm",
}
# Families that take a cache and make none of their dense model, as transformers has it.
NO_CACHE = {
    "cpmant": "its prompt is not cached",
    "switch_transformers": "its stacks are not told that they decode",
}


@pytest.mark.parametrize("family", MODEL_MAPPING_NAMES)
def test_a_window_over_everything_is_dense_attention_or_is_refused_by_name(family: str) -> None:
    if family in NOT_TINY or family in NEEDS:
        _is_rightly_listed(family)
    elif not reads_text(family):
        unmade = model_class(family).__new__(model_class(family))
        with pytest.raises(ValueError, match=rf"{type(unmade).__name__} does not read token ids"):
            attach(unmade, EVERYTHING)
    elif family in READS_MORE:
        model = next(candidates(family, []))
        with pytest.raises(Exception):  # noqa: B017  (theirs, whatever it is)
            model(**batch(model))
        assert _refused(model)
    else:
        _equals_dense_or_is_refused(family, tiny_family(family))


def _is_rightly_listed(family: str) -> None:
    if family in NEEDS and find_spec(NEEDS[family]) is not None:
        return
    with pytest.raises((RuntimeError, ImportError, ValueError)):
        tiny_family(family)
        pytest.fail(f"{family} can be made here after all; take it from the list")


def _refused(model: Any) -> bool:
    """Whether attach refuses the model, by its name and with nothing changed."""
    before = implementations(model)
    try:
        attach(model, EVERYTHING)
    except ValueError as refused:
        reason = str(refused)
    else:
        return False
    assert type(model).__name__ in reason
    assert "othing was changed" in reason
    assert not attached(model)
    assert [name for _, name in implementations(model)] == [name for _, name in before]
    return True


def _equals_dense_or_is_refused(family: str, model: Any) -> None:
    inputs = batch(model)
    dense, cached = _said(model, inputs), None
    if _takes_cache(model) and family not in NO_CACHE:
        cached = _through_cache(model)
    if _refused(model):
        assert family not in SERVED
        return
    torch.testing.assert_close(_said(model, inputs), dense, **CLOSE)
    causal = {core.heads.causal for core in attached(model).values()}
    assert (cached is not None) == (True in causal and _takes_cache(model)), family
    if cached is not None:
        torch.testing.assert_close(_through_cache(model), cached, **CLOSE)
    detach(model)
    assert torch.equal(_said(model, inputs), dense)
    attach(model, NEAR)
    assert not torch.allclose(_said(model, inputs), dense, **CLOSE)  # attention does count


@torch.no_grad()
def _said(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """What the model says of the places that are there."""
    first = model(**inputs)[0]
    if model.config.is_encoder_decoder:
        return first.flatten(0, 1)
    return torch.cat([first[0], first[1, :8]])


def _takes_cache(model: Any) -> bool:
    return _cache_name(model) in inspect.signature(model.forward).parameters


@torch.no_grad()
def _through_cache(model: Any) -> Tensor | None:
    """What a decoder says of all tokens, the last with those before it cached and the padding on
    the left; None where nothing is cached."""
    inputs = batch(model)
    name = "decoder_input_ids" if model.config.is_encoder_decoder else "input_ids"
    ids = inputs.pop(name)
    mask = None if model.config.is_encoder_decoder else inputs.pop("attention_mask").flip(1)
    first, last = {**inputs, name: ids[:, :-1]}, {**inputs, name: ids[:, -1:]}
    if mask is not None:
        first, last = {**first, "attention_mask": mask[:, :-1]}, {**last, "attention_mask": mask}
    before = model(**first, use_cache=True)
    cache = getattr(before, "cache", None) or getattr(before, "past_key_values", None)
    if cache is None:
        return None
    after = model(**last, use_cache=True, **{_cache_name(model): cache})
    hidden = 0 if mask is None else 4
    return torch.cat([before[0][0], before[0][1, hidden:], after[0][0], after[0][1]])


def _cache_name(model: Any) -> str:
    """As this version of transformers calls it."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
