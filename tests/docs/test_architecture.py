"""The worked examples of ARCHITECTURE.md are put where they say, listed by one line, and run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_data

_ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINES = {
    "train/optimizers/__init__.py": "from leanformer.train.optimizers.lion import Lion  # noqa",
    "tasks/__init__.py": "from leanformer.tasks.two_scores import TwoScores  # noqa",
    "train/tasks/__init__.py": "from leanformer.train.tasks.two_scores import TwoScoresLoss  # noqa",
    "quantize/__init__.py": 'STEPS = (*STEPS, "store_bfloat16.StoreBfloat16")',
    "runtime/systems/__init__.py": "from leanformer.runtime.systems import keywords  # noqa",
}

_OPTIMIZER = """
import sys
from pathlib import Path
from leanformer.recipe import read, run
settings = ['steps[0].train.optimizer={use="lion", learning_rate=1e-3}']
done = run(read(Path(sys.argv[1]), settings), Path("lion"))
assert done.proofs[0].after > done.proofs[0].before, done.proofs
"""
_TASK = """
import sys
from pathlib import Path
from leanformer import load
from leanformer.recipe import read
from leanformer.search.conduct import conduct
done, _ = conduct(read(Path(sys.argv[1])), Path("scores"))
assert done.proofs[0].claim == "closeness on dev", done.proofs
(answer,) = load(done.saved).predict(["the lazy dog"])
assert list(answer) == ["valence", "arousal"], answer
assert answer["valence"] > 0.5 > answer["arousal"], answer
"""
_STEP = """
import sys, torch
from pathlib import Path
from leanformer.recipe import read, run
done = run(read(Path(sys.argv[1])), Path("half"))
assert done.model.dtype == torch.bfloat16
assert done.proofs[0].after == done.proofs[0].before / 2
"""
_SYSTEM = """
import sys
from leanformer.runtime.manifest import Manifest
from leanformer.runtime.systems.keywords import Keywords
from leanformer import load
about = Manifest(kind="classification", labels=("animal", "money"))
Keywords({"animal": ["dog", "fox"], "money": ["card"]}, about).save("keywords")
system = load("keywords")
assert [one.label for one in system.predict(["my card", "the lazy dog"])] == ["money", "animal"]
assert "torch" not in sys.modules
"""
_TRAIN = '[steps.train]\nepochs = 8\nbatch_size = 8\nlearning_rate = 3e-3\nprecision = "fp32"\n'


@pytest.fixture(scope="session")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the files of the examples and their lines."""
    folder = tmp_path_factory.mktemp("extended")
    package = folder / "leanformer"
    shutil.copytree(
        _ROOT / "src" / "leanformer", package, ignore=shutil.ignore_patterns("__pycache__")
    )
    for place, code in _BLOCK.findall((_ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")):
        assert not (package / place).exists(), place
        (package / place).write_text(code, encoding="utf-8")
    for place, line in _LINES.items():
        with (package / place).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    return folder


def _run(extended: Path, desk: Path, code: str, *arguments: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=desk,
        env={"PYTHONPATH": str(extended), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def _recipe(folder: Path, step: str, data: str, model: Path) -> Path:
    path = folder / "recipe.toml"
    path.write_text(
        f'model = "{model}"\nmeasure = false\n[data]\n{data}\n[[steps]]\nuse = "{step}"\n'
        + (_TRAIN if step == "finetune" else "")
    )
    return path


def test_an_optimizer(extended: Path, tmp_path: Path) -> None:
    data = tiny_data.write_data(tmp_path / "data")
    model = tiny_data.write_encoder(tmp_path / "encoder")
    recipe = _recipe(tmp_path, "finetune", f'path = "{data}"', model)
    recipe.write_text(recipe.read_text().replace("learning_rate = 3e-3\n", ""))
    _run(extended, tmp_path, _OPTIMIZER, recipe)


def test_a_task(extended: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for split, count in tiny_data.SIZES.items():
        rows = tiny_data.texts(split, count)
        lines = [
            f"{text}\t{int(label == 'animal')}\t{int(label == 'money')}" for text, label in rows
        ]
        (data / f"{split}.tsv").write_text("\n".join(["text\tvalence\tarousal", *lines]) + "\n")
    model = tiny_data.write_encoder(tmp_path / "encoder")
    about = f'path = "{data}"\nkind = "two-scores"\nlabel = "valence,arousal"'
    _run(extended, tmp_path, _TASK, _recipe(tmp_path, "finetune", about, model))


def test_a_step(extended: Path, tmp_path: Path) -> None:
    data = tiny_data.write_data(tmp_path / "data")
    model = tiny_data.write_classifier(tmp_path / "classifier", data)
    _run(extended, tmp_path, _STEP, _recipe(tmp_path, "store-bfloat16", f'path = "{data}"', model))


def test_a_served_system(extended: Path, tmp_path: Path) -> None:
    _run(extended, tmp_path, _SYSTEM)
