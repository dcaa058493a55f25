"""Files to embeddings: each row has its own text's vector, through kills, changes and damage."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embed_samples import Hashing, contents_of, write_texts
from killed_writers import killed_at

from leanformer.core.storage.lock import FolderInUse, locked_folder
from leanformer.data.corpus.records import Record
from leanformer.retrieve.embed import files as module
from leanformer.retrieve.embed.encoder import open_encoder
from leanformer.retrieve.embed.files import embed_files, windows_of
from leanformer.retrieve.embed.progress import Progress
from leanformer.retrieve.embed.stored import Embeddings, read_embeddings


def embedded(path: Path, out: Path, encoder: Any = None, **options: Any) -> Embeddings:
    options = {"id": "key", "prompt": "", "shard_texts": 16} | options
    return embed_files(encoder or Hashing(), path, out, **options)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_texts(tmp_path / "texts.csv", 50)
    return tmp_path / "texts.csv"


def test_every_row_has_the_vector_of_its_text(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "texts.csv", 50)
    encoder, told = Hashing(), list[Progress]()
    found = embedded(tmp_path / "texts.csv", tmp_path / "out", encoder, tell=told.append)
    assert list(found.ids) == [f"k{n}" for n in range(50)]
    expected = unit(np.stack([encoder.vector(text) for text in texts]))
    np.testing.assert_allclose(found.vectors[:], expected, atol=1e-6)
    assert found.listing.normalized
    assert len(found.listing.shards) == 4
    assert (told[-1].texts, told[-1].share, told[-1].last) == (50, 1.0, True)
    assert [one.texts for one in told] == sorted(one.texts for one in told)


def test_equal_texts_of_a_window_are_computed_once_and_long_ones_first(path: Path) -> None:
    encoder = Hashing()
    embedded(path, path.parent / "out", encoder, shard_texts=100)
    assert len(encoder.asked) == len(set(encoder.asked))
    lengths = [len(text) for text in encoder.asked]
    assert lengths == sorted(lengths, reverse=True)


def test_float16_prompts_and_lengths_that_count(path: Path, tmp_path: Path) -> None:
    encoder = Hashing(lengths_count=True)
    found = embedded(path, tmp_path / "out", encoder, dtype="float16", prompt="query")
    assert found.vectors.dtype == np.float16
    assert not found.listing.normalized
    assert found.listing.prompt == "query"
    expected = encoder.vector("where is text 0 ").astype(np.float16)
    np.testing.assert_array_equal(found.vectors[0], expected)
    assert embedded(path, tmp_path / "default", prompt=None).listing.prompt == "passage"


def test_the_same_command_computes_nothing_again(path: Path, tmp_path: Path) -> None:
    embedded(path, tmp_path / "out")
    before, encoder = contents_of(tmp_path / "out"), Hashing()
    assert len(embedded(path, tmp_path / "out", encoder)) == 50
    assert encoder.asked == []
    assert contents_of(tmp_path / "out") == before


def test_a_killed_run_goes_on_to_the_same_bytes(path: Path, tmp_path: Path) -> None:
    embedded(path, tmp_path / "whole")
    whole = contents_of(tmp_path / "whole")
    kill, killed = 1, 0
    while killed_at(lambda: embedded(path, tmp_path / "out"), kill):
        found = embedded(path, tmp_path / "out")
        assert len(found) == 50
        assert contents_of(tmp_path / "out") == whole, f"killed before call {kill}"
        shutil.rmtree(tmp_path / "out")
        kill, killed = kill + 97, killed + 1
    assert killed > 2
    assert contents_of(tmp_path / "out") == whole


def test_what_was_whole_before_a_failure_is_not_computed_again(path: Path, tmp_path: Path) -> None:
    with path.open("a") as file:
        file.write("k50,a,b\n")
    with pytest.raises(ValueError, match=r"texts\.csv:62: 3 fields .*--skip-errors\) embeds the"):
        embedded(path, tmp_path / "out")
    path.write_text(path.read_text().replace("k50,a,b", "k50,a"))
    encoder = Hashing()
    assert len(embedded(path, tmp_path / "out", encoder)) == 51
    assert len(encoder.asked) <= 3  # 48 rows are in whole shards


def test_rows_that_cannot_be_read_are_listed(path: Path, tmp_path: Path) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], "k,a,b", *lines[4:40], "k,", *lines[40:]]))
    found = embedded(path, tmp_path / "out", skip_errors=True)
    assert (len(found), found.skipped) == (50, 2)
    places = [one["place"].rpartition(":")[2] for one in found.skipped_rows()]
    assert places == ["5", "42"]
    assert list(found.ids) == [f"k{n}" for n in range(50)]


def test_added_rows_are_embedded_too(path: Path, tmp_path: Path) -> None:
    embedded(path, tmp_path / "out")
    write_texts(path, 70, first=50)
    encoder = Hashing()
    assert len(embedded(path, tmp_path / "out", encoder)) == 70
    assert len(encoder.asked) <= 22  # 48 rows are in whole shards
    embedded(path, tmp_path / "anew")
    assert contents_of(tmp_path / "out") == contents_of(tmp_path / "anew")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("text 3 ", "text three "),
        lambda text: text.replace("k3,", "K3,"),
        lambda text: "".join(text.splitlines(keepends=True)[:-2]),
    ],
)
def test_a_changed_input_is_refused_or_begun_again(change: Any, path: Path, tmp_path: Path) -> None:
    embedded(path, tmp_path / "out")
    before = contents_of(tmp_path / "out")
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=r"shard-\d+: its texts .* changed since .*--overwrite"):
        embedded(path, tmp_path / "out")
    assert contents_of(tmp_path / "out") == before
    embedded(path, tmp_path / "out", overwrite=True)
    embedded(path, tmp_path / "anew")
    assert contents_of(tmp_path / "out") == contents_of(tmp_path / "anew")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": Hashing("another")}, "differs in the encoder .weights"),
        ({"dtype": "float16"}, "differs in dtype .float32 → float16"),
        ({"prompt": "query"}, "differs in prompt"),
        ({"id": None}, "differs in id"),
        ({"skip_errors": True}, "differs in skip_errors"),
    ],
)
def test_other_work_in_the_folder_is_refused(
    options: dict[str, Any], message: str, path: Path, tmp_path: Path
) -> None:
    embedded(path, tmp_path / "out")
    with pytest.raises(ValueError, match=rf"{message}.*overwrite .--overwrite. begins again"):
        embedded(path, tmp_path / "out", **options)
    embedded(path, tmp_path / "out", overwrite=True, **options)


def test_a_damaged_shard_is_named_and_computed_again(path: Path, tmp_path: Path) -> None:
    embedded(path, tmp_path / "out")
    whole = contents_of(tmp_path / "out")
    file = tmp_path / "out" / "shard-00002" / "vectors.npy"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(ValueError, match=r"shard-00002/vectors\.npy was altered"):
        read_embeddings(tmp_path / "out")
    message = r"shard-00002/vectors\.npy was altered.*remove .*shard-00002 and those after it"
    with pytest.raises(ValueError, match=message):
        embedded(path, tmp_path / "out")
    for name in ("shard-00002", "shard-00003"):
        shutil.rmtree(tmp_path / "out" / name)
    embedded(path, tmp_path / "out")
    assert contents_of(tmp_path / "out") == whole


def test_a_second_writer_is_refused(path: Path, tmp_path: Path) -> None:
    refused = list[BaseException]()

    def second() -> None:
        try:
            embedded(path, tmp_path / "out")
        except FolderInUse as error:
            refused.append(error)

    with locked_folder(tmp_path / "out", "leanformer embed"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert "`leanformer embed`, works on it" in str(refused[0])


def test_what_cannot_be_done_is_refused_before_anything_is_written(
    path: Path, tmp_path: Path
) -> None:
    for options, message in (
        ({"dtype": "int8"}, "dtype: 'int8' is not one of float32, float16"),
        ({"shard_texts": 0}, "shard_texts: 0 is not a positive"),
        ({"prompt": "querry"}, "no prompt 'querry'"),
    ):
        with pytest.raises(ValueError, match=message):
            embedded(path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("no")
    with pytest.raises(FileExistsError, match="exists and is not empty"):
        embedded(path, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "no"


def test_an_input_without_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("key,text\n\n\n")
    with pytest.raises(ValueError, match="the input holds no text that can be read"):
        embedded(tmp_path / "a.csv", tmp_path / "out")


def test_numbers_that_float16_cannot_hold_are_refused(path: Path, tmp_path: Path) -> None:
    class Large(Hashing):
        def vector(self, text: str) -> Any:
            return super().vector(text) * 1e6

    with pytest.raises(ValueError, match=r"'text .* too large for float16; store float32"):
        embedded(path, tmp_path / "out", Large(lengths_count=True), dtype="float16")


def test_windows_end_where_texts_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHARACTERS", 5)
    records = [Record(str(n), "ab" if n < 6 else "", "", n) for n in range(10)]
    assert [len(one) for one in windows_of(records, 4)] == [3, 3, 4]


def test_a_folder_is_opened_as_a_model(tmp_path: Path) -> None:
    from leanformer.models.io.save import save_model
    from leanformer.models.tiny import tiny_model

    save_model(*tiny_model("bert", head="embedding"), tmp_path / "m")
    texts = write_texts(tmp_path / "texts.csv", 20)
    found = embedded(tmp_path / "texts.csv", tmp_path / "out", tmp_path / "m", threads=1)
    expected = open_encoder(tmp_path / "m", threads=1).encode(texts)
    tolerance = 1e-5 if found.listing.precision == "fp32" else 0.05
    np.testing.assert_allclose(found.vectors[:], expected, atol=tolerance)


MEMORY = r"""
import resource, sys
from pathlib import Path

sys.path.insert(0, sys.argv[2])
from embed_samples import Hashing
from leanformer.retrieve.embed.files import embed_files

ALLOWED, LARGE = 16 * 2**20, 32 * 2**20
root = Path(sys.argv[1])

def write(path, size):
    with path.open("w") as file:
        for number in range(size // 4096):
            file.write(f"{number} {'word ' * 818}\n")

write(root / "small.txt", 2**21)
embed_files(Hashing(remembers=False), root / "small.txt", root / "small", shard_texts=1024)
write(root / "large.txt", LARGE)
status = Path("/proc/self/status").read_text()
data = next(int(line.split()[1]) * 1024 for line in status.splitlines() if "VmData" in line)
resource.setrlimit(resource.RLIMIT_DATA, (data + ALLOWED,) * 2)
try:
    (root / "large.txt").read_bytes()
    sys.exit("the limit limits nothing")
except MemoryError:
    pass
found = embed_files(Hashing(width=64, remembers=False), root / "large.txt", root / "large", shard_texts=1024)
assert len(found) == LARGE // 4096 and len(found.listing.shards) > 7
assert sum(len(block) for block in found.vectors.blocks(1000)) == len(found)
print("through")
"""


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEMORY, str(tmp_path), str(Path(__file__).parents[2])]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-2000:]
    assert child.stdout.endswith("through\n")
