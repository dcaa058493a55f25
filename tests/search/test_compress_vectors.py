"""The main job on a teacher of sentence-transformers that pools by CLS and does not normalize."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from search.whole import Search, one_student, quick, write_data
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling as TheirPooling
from sentence_transformers.models import Transformer

import leanformer
from leanformer.models.embedding import Embedding, embedding_of
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.numerics.metrics import cosine
from leanformer.numerics.pooling import Pooling
from leanformer.search import Request, compress


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Search:
    place = tmp_path_factory.mktemp("vectors")
    shape = {"num_hidden_layers": 2, "max_position_embeddings": 160}
    save_model(*tiny_model("bert", head="embedding", **shape), place / "plain")
    modules = [Transformer(str(place / "plain")), TheirPooling(32, "cls")]
    prompts = {"query": "the quick "}
    teacher = SentenceTransformer(
        modules=modules, device="cpu", prompts=prompts, default_prompt_name="query",
        similarity_fn_name="dot",
    )  # fmt: skip
    teacher.max_seq_length = 24
    teacher.save(str(place / "teacher"))
    source = write_data(place / "data", "embedding")
    request = Request(
        model=str(place / "teacher"), data=source, keep=0.5, student_epochs=3.0,
        threads=1,
    )  # fmt: skip
    search = Search(request, place / "lean")
    with quick(), pytest.MonkeyPatch.context() as patch:
        one_student(patch)
        patch.setattr("leanformer.search.finish.DEFAULT", ())
        compress(request, search.out)
    return search


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Text by text, no farther apart than 1e-5 of the vector's length."""
    apart = np.linalg.norm(ours - theirs, axis=1)
    np.testing.assert_array_less(apart, 1e-5 * np.linalg.norm(theirs, axis=1))


def test_the_targets_are_the_teachers_own_vectors(done: Search) -> None:
    texts = list(done.dataset.dev.texts)
    theirs = SentenceTransformer(done.request.model, device="cpu").encode(texts)
    folder = done.out / "baselines"
    ours = leanformer.load(folder, "pytorch", threads=1, precision="fp32").encode(texts)
    assert_same(ours, theirs)


def test_the_student_opens_in_sentence_transformers_with_the_same_vectors(
    done: Search, tmp_path: Path
) -> None:
    folder = done.out / "model"
    texts = [*done.dataset.dev.texts, " ".join(done.dataset.dev.texts)]
    ours = leanformer.load(folder, "pytorch", threads=1, precision="fp32").encode(texts)
    code = (
        "import sys, numpy, leanformer; from sentence_transformers import SentenceTransformer\n"
        "model = SentenceTransformer(sys.argv[1], device='cpu')\n"
        "assert (model.similarity_fn_name, model.max_seq_length) == ('dot', 24)\n"
        "numpy.save(sys.argv[2], model.encode(sys.argv[3:]))"
    )
    file = tmp_path / "vectors.npy"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(folder), str(file), *texts],
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    theirs = np.load(file)
    assert_same(ours, theirs)
    served = leanformer.load(folder, threads=1).encode(texts)
    assert cosine(served, theirs) > 0.99
    assert embedding_of(load_model(folder, "embedding")[0]) == Embedding(
        pooling=Pooling(mode="cls", normalize=False),
        prompts={"query": "the quick ", "document": ""},  # as sentence-transformers completes them
        default_prompt_name="query",
        similarity="dot",
    )


def test_lengths_are_taught_and_told(done: Search) -> None:
    (step,) = [event for event in done.events("step") if event["step"] == "distill"]
    objectives = [objective["use"] for objective in step["settings"]["objectives"]]
    assert objectives == ["vectors", "hidden-states"]
    (proof,) = [p for p in step["proofs"] if p["claim"].startswith("lengths of the vectors")]
    assert 0.5 < proof["after"] < 2
    (quantized,) = [event for event in done.events("step") if event["step"] == "int8"]
    notes = [p["note"] for p in quantized["proofs"]]
    assert any("of PyTorch's" in note for note in notes)
