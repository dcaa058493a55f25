"""Decoders from a recipe's first step to its report, and what is served afterwards."""

import json
import math
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from search.whole import measure_briefly
from transformers import AutoModelForCausalLM, AutoTokenizer

import leanformer
from leanformer.core.record import read
from leanformer.data import Source
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.prune.shrink import Shrink
from leanformer.recipe import read as read_recipe
from leanformer.recipe import run
from leanformer.search import Request, compress
from leanformer.search.conduct import conduct

RECIPE = """
model = "{place}/decoder"
keep = 0.6
{more}

[data]
path = "{place}/texts"
kind = "causal-lm"

[[steps]]
use = "pretrain"
max_length = 48

[steps.train]
steps = 60
batch_size = 8
precision = "fp32"
optimizer = {{ use = "adamw", learning_rate = 4e-3 }}

[[steps]]
use = "shrink"
layers = 2
heads = 0.5
ffn = 0.5
multiple = 8
max_length = 48

[[steps]]
use = "distill"
max_length = 48
packing = {packing}
load_best_at_end = false
objectives = [{objectives}]

[steps.train]
steps = 40
batch_size = 8
precision = "fp32"
optimizer = {{ use = "adamw", learning_rate = 4e-3 }}
"""
OBJECTIVES = '{ use = "soft-targets" }, { use = "hidden-states", weight = 0.1 }'
WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "the",
    "lazy",
    "dog",
    "and",
    "the",
    "small",
    "model",
    "answers",
]


def written(place: Path, family: str = "llama", more: str = "", packing: str = "true") -> Path:
    """A recipe with its model and its texts, in which each word follows the one before it."""
    chance = random.Random(0)
    (place / "texts").mkdir(parents=True)
    for split, count in (("train", 48), ("dev", 24), ("test", 24)):
        starts = [chance.randrange(len(WORDS)) for _ in range(count)]
        rows = [" ".join((WORDS + WORDS)[at : at + chance.randint(2, 8)]) for at in starts]
        (place / "texts" / f"{split}.txt").write_text("\n".join(rows) + "\n")
    model, tokenizer = tiny_model(family, head="causal")
    save_model(model, tokenizer, place / "decoder")
    path = place / "recipe.toml"
    filled = {"place": place, "more": more, "packing": packing, "objectives": OBJECTIVES}
    path.write_text(RECIPE.format(**filled))
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    place = tmp_path_factory.mktemp("decoders")
    recipe = read_recipe(written(place))
    with pytest.MonkeyPatch.context() as patch:
        measure_briefly(patch)
        conduct(recipe, place / "out")
    return place / "out"


def perplexity(folder: Path, text: str) -> float:
    """By Hugging Face's own loss."""
    ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(folder)
    return math.exp(model(input_ids=ids, labels=ids).loss.item())


def test_the_report_has_the_perplexity_of_teacher_and_student(done: Path) -> None:
    events = read(done / "record.jsonl")
    models: dict[str, Any] = {}
    for event in events:
        if event["event"] == "model":
            models.setdefault(event["name"], []).append(event)
    assert set(models) == {"teacher · PyTorch fp32", "student"}
    for name, folder in (("teacher · PyTorch fp32", "00-pretrain"), ("student", "02-distill")):
        quality = {k: v for one in models[name] for k, v in one["quality"].items() if v is not None}
        assert {"dev", "test"} <= set(quality)
        assert any("throughput" in one["quantities"] for one in models[name])
        model = AutoModelForCausalLM.from_pretrained(done / folder / "model")
        tokenizer = AutoTokenizer.from_pretrained(done / folder / "model")
        total, tokens = 0.0, 0
        for text in (done.parent / "texts" / "test.txt").read_text().splitlines():
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            count = ids.shape[1] - 1
            total += model(input_ids=ids, labels=ids).loss.item() * count
            tokens += count
        assert 1 / quality["test"] == pytest.approx(math.exp(total / tokens), rel=1e-4)
    verdict = events[-1]
    assert verdict["event"] == "verdict"
    assert verdict["chosen"] == "student"
    page = (done / "report.html").read_text()
    assert "perplexity" in page
    assert "no exported graph: their times are of reading whole texts" in page
    steps = [event for event in events if event["event"] == "step"]
    claims = [proof["claim"] for event in steps for proof in event["proofs"]]
    assert claims.count("perplexity on dev") == 2


def test_predict_gives_the_perplexity_of_each_text_in_a_fresh_process(
    done: Path, tmp_path: Path
) -> None:
    folder = done / "02-distill" / "model"
    texts = ["the quick brown fox", "dog and the small model answers the quick brown fox", "fox"]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    words = ["leanformer", "predict", str(folder), "--in", str(tmp_path / "texts.txt")]
    code = f"import sys; sys.argv = {words!r}; from leanformer.cli import main; main()"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in made.stdout.splitlines()]
    assert [row["text"] for row in rows] == texts
    for text, row in zip(texts, rows, strict=True):
        assert row["perplexity"] == pytest.approx(perplexity(folder, text), rel=1e-4)


def test_a_text_is_answered_alike_beside_longer_ones(done: Path) -> None:
    predictor = leanformer.load(done / "02-distill" / "model", threads=1)
    texts = ["fox", "the quick brown fox", " ".join(WORDS * 2)]
    together = predictor.predict(texts)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = predictor.predict([text])
        assert alone.predicted == answer.predicted
        assert alone.perplexity == pytest.approx(answer.perplexity, rel=1e-4)


def test_the_result_generates_through_transformers(done: Path) -> None:
    folder = done / "02-distill" / "model"
    model, tokenizer = (
        cls.from_pretrained(folder) for cls in (AutoModelForCausalLM, AutoTokenizer)
    )
    assert model.config.num_hidden_layers == 2
    start = tokenizer("the quick", return_tensors="pt")
    cached = model.generate(**start, max_new_tokens=6, do_sample=False)
    whole = model.generate(**start, max_new_tokens=6, do_sample=False, use_cache=False)
    assert cached.tolist() == whole.tolist()
    assert cached.shape[1] > start["input_ids"].shape[1]


def test_a_finished_run_is_only_read(done: Path) -> None:
    before = (done / "record.jsonl").read_bytes()
    recipe = read_recipe(done.parent / "recipe.toml")
    conduct(recipe, done)
    assert (done / "record.jsonl").read_bytes() == before


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 that has learnt the texts beside it."""
    place = tmp_path_factory.mktemp("pretrained")
    path = written(place, "gpt2", more="measure = false", packing="false")
    recipe = read_recipe(path, ["steps[0].packing=false"])
    workspace = run(replace(recipe, steps=recipe.steps[:1]), place / "first")
    assert workspace.proofs
    assert all(proof.ok for proof in workspace.proofs)
    assert workspace.saved is not None
    return workspace.saved


@pytest.mark.parametrize("objective", ["logits", "reverse-kl", "labels"])
def test_each_objective_teaches_decoders_and_the_result_opens_without_measures(
    tmp_path: Path, pretrained: Path, objective: str
) -> None:
    path = pretrained.parents[2] / "recipe.toml"
    recipe = read_recipe(path, [f'steps[2].objectives=[{{ use = "{objective}" }}]'])
    recipe = replace(recipe, model=str(pretrained), steps=recipe.steps[1:])
    workspace, page = conduct(recipe, tmp_path / "out")
    assert page is None
    assert [proof.ok for proof in workspace.proofs] == [True, True]
    assert workspace.saved is not None
    (answer,) = leanformer.load(workspace.saved, threads=1).predict(["the quick brown"])
    expected = perplexity(workspace.saved, "the quick brown")
    assert answer.perplexity == pytest.approx(expected, rel=1e-4)


def test_a_graph_is_refused_by_name_before_anything_is_done(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text() + '\n[[steps]]\nuse = "int8"\n')
    recipe = read_recipe(path)
    for way in (conduct, run):
        with pytest.raises(ValueError, match="steps: int8: kind 'causal-lm' has no graph that"):
            way(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_search_for_the_fastest_graph_is_refused(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path))
    with pytest.raises(ValueError, match="has no graph that could be exported or run in int8"):
        compress(Request(model=recipe.model, data=recipe.data), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_decoder_without_its_head_has_no_teacher_unless_it_is_trained(tmp_path: Path) -> None:
    path = written(tmp_path)
    recipe = read_recipe(path)
    distill = replace(recipe, steps=recipe.steps[1:])
    bare, tokenizer = tiny_model("llama", head="embedding")
    save_model(bare, tokenizer, tmp_path / "bare")
    with pytest.raises(ValueError, match="teacher: there is none to compare with"):
        conduct(replace(distill, model=str(tmp_path / "bare")), tmp_path / "out")


def test_pairs_are_two_texts_to_learn_from(tmp_path: Path) -> None:
    rows = "\n".join(f"{word}\tthe {word}" for word in WORDS)
    (tmp_path / "pairs.tsv").write_text(f"text\tpair\n{rows}\n")
    dataset = Source(path=str(tmp_path / "pairs.tsv"), kind="causal-lm").read()
    assert dataset.train.pairs is None
    assert len(dataset.train) % 2 == 0


def test_perplexities_of_two_vocabularies_are_not_compared(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path))
    pretrain, shrink, _ = recipe.steps
    cut = replace(recipe, steps=(pretrain, CutVocabulary(), shrink))
    with pytest.raises(ValueError, match="steps: cut-vocabulary makes the student predict other"):
        conduct(cut, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    done = run(
        replace(recipe, steps=(CutVocabulary(), Shrink(layers=2))), tmp_path / "cut"
    )  # no measures, no refusal
    teacher, tokenizer = tiny_model("llama", head="causal")
    save_model(teacher, tokenizer, tmp_path / "teacher")
    other = replace(
        recipe,
        model=str(done.saved),
        teacher=str(tmp_path / "teacher"),
        steps=(Shrink(layers=1),),
    )
    with pytest.raises(ValueError, match="teacher: its vocabulary is not that of the student in"):
        conduct(other, tmp_path / "other")
