"""The worked examples of ARCHITECTURE.md are put where they say, listed by one line, and run."""

import json
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


def _recipe(folder: Path, step: str, data: str, model: Path) -> Path:
    path = folder / "recipe.toml"
    path.write_text(
        f'model = "{model}"\nmeasure = false\n[data]\n{data}\n[[steps]]\nuse = "{step}"\n'
        + (_TRAIN if step == "finetune" else "")
    )
    return path


def _optimizer(folder: Path) -> Path:
    data = tiny_data.write_data(folder / "data")
    model = tiny_data.write_encoder(folder / "encoder")
    recipe = _recipe(folder, "finetune", f'path = "{data}"', model)
    recipe.write_text(recipe.read_text().replace("learning_rate = 3e-3\n", ""))
    return recipe


def _task(folder: Path) -> Path:
    data = folder / "data"
    data.mkdir()
    for split, count in tiny_data.SIZES.items():
        rows = tiny_data.texts(split, count)
        lines = [
            f"{text}\t{int(label == 'animal')}\t{int(label == 'money')}" for text, label in rows
        ]
        (data / f"{split}.tsv").write_text("\n".join(["text\tvalence\tarousal", *lines]) + "\n")
    model = tiny_data.write_encoder(folder / "encoder")
    about = f'path = "{data}"\nkind = "two-scores"\nlabel = "valence,arousal"'
    return _recipe(folder, "finetune", about, model)


def _step(folder: Path) -> Path:
    data = tiny_data.write_data(folder / "data")
    model = tiny_data.write_classifier(folder / "classifier", data)
    return _recipe(folder, "store-bfloat16", f'path = "{data}"', model)


_EXAMPLES = {  # the system first, which needs no torch
    "system": (_SYSTEM, None),
    "optimizer": (_OPTIMIZER, _optimizer),
    "task": (_TASK, _task),
    "step": (_STEP, _step),
}
_EACH = """
import json, sys, traceback
said = {}
for name, code, argument in json.loads(sys.argv[1]):
    sys.argv[1:] = [argument]
    try:
        exec(code, {"__name__": "__main__"})
        said[name] = ""
    except BaseException:
        said[name] = traceback.format_exc()
with open("said.json", "w") as file:
    json.dump(said, file)
"""


@pytest.fixture(scope="module")
def said(extended: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What went wrong with each example, in one process with the extended package."""
    asked = []
    for name, (code, prepare) in _EXAMPLES.items():
        argument = "" if prepare is None else str(prepare(tmp_path_factory.mktemp(name)))
        asked.append((name, code, argument))
    place = tmp_path_factory.mktemp("place")
    ended = subprocess.run(
        [sys.executable, "-c", _EACH, json.dumps(asked)],
        cwd=place,
        env={"PYTHONPATH": str(extended), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, str] = json.loads((place / "said.json").read_text())
    return found


@pytest.mark.parametrize("example", _EXAMPLES)
def test_an_example_works_as_the_page_says(said: dict[str, str], example: str) -> None:
    assert said[example] == ""
