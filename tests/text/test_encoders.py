"""Two tokenizers of one file: the same ids, in threads, and no more threads than were asked for."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from leanformer.models.tiny_tokenizers import TEXTS, tiny_tokenizer
from leanformer.text import encoders
from leanformer.text.encoders import HuggingFace, Tokie, fast_version, panicked


class PanicException(BaseException):
    """As Rust's panics look in Python."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tiny_tokenizer("bert").save_pretrained(tmp_path)
    return tmp_path / "tokenizer.json"


def hugging_face(file: Path) -> HuggingFace:
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return HuggingFace(tokenizer)


def test_one_by_one_and_in_parallel_give_the_same(file):
    encoder = hugging_face(file)
    assert encoder.ids(TEXTS) == encoder.ids(TEXTS, parallel=True)
    with_places = encoder.encodings(TEXTS, parallel=True, offsets=True)
    assert [one.offsets for one in with_places] == [one.offsets for one in encoder.encodings(TEXTS)]


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """What is logged, whatever other libraries of this process have made of logging."""
    found: list[str] = []
    monkeypatch.setattr(encoders._log, "warning", lambda text, *values: found.append(text % values))
    return found


def test_a_pool_that_does_not_start_is_said_once_and_texts_are_read(file, said):
    true = Tokenizer.from_file(str(file))

    class Broken:
        encode = staticmethod(true.encode)

        def encode_batch_fast(self, texts, add_special_tokens):
            raise PanicException("The global thread pool has not been initialized")

    encoder = HuggingFace(Broken())
    for _ in range(2):
        assert encoder.ids(TEXTS, parallel=True) == hugging_face(file).ids(TEXTS)
    assert len(said) == 1
    assert "did not start" in said[0]


def test_an_interrupt_is_no_failure_of_the_library(file):
    class Interrupted:
        def encode_batch_fast(self, texts, add_special_tokens):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        HuggingFace(Interrupted()).ids(TEXTS, parallel=True)
    assert panicked(PanicException())
    assert not panicked(SystemExit())


def test_one_thread_stays_one_thread(file):
    code = f"""
import os
from pathlib import Path
from leanformer.text import open_reader
reader = open_reader(Path({str(file.parent)!r}), 64)
before = len(os.listdir("/proc/self/task"))
reader.read(["the quick brown fox"] * 500, ["jumps"] * 500)
reader.read_words([["the", "fox"]] * 500)
print(len(os.listdir("/proc/self/task")) - before)
"""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("threads are counted in /proc")
    assert _child(code).stdout.strip() == "0"


def test_a_pool_that_cannot_start_ends_no_process(file):
    code = f"""
import os
from pathlib import Path
from leanformer.text import open_reader
os.environ["RUST_MIN_STACK"] = str(2**46)  # no thread has room for such a stack
reader = open_reader(Path({str(file.parent)!r}), 64)
print(len(reader.read(["the quick brown fox"] * 100, parallel=True)))
"""
    done = _child(code)
    assert done.stdout.strip() == "100", done.stderr
    assert done.stderr.count("did not start") == 1


def _child(code: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a process whose tokenizers may start threads."""
    where = {"PYTHONPATH": ":".join(sys.path), "TOKENIZERS_PARALLELISM": "true"}
    where = {**os.environ, **where}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=where
    )


@pytest.fixture
def fast(file) -> Tokie:
    pytest.importorskip("tokie", reason="the fast tokenizer is optional: leanformer[fast]")
    return Tokie(file, hugging_face(file), [(0x7F, 0x7F), (0x20000, 0x10FFFF)])


def test_the_fast_one_gives_equal_ids_also_where_it_is_not_asked(file, fast):
    texts = [*TEXTS, "a\x7fb", "the \U00020000 fox", "dög \U0001f600", " "]
    assert fast.ids(texts) == hugging_face(file).ids(texts)
    assert not fast.failed


def test_eight_threads_get_equal_ids(file, fast):
    texts = [f"{text} {number}" for number in range(40) for text in TEXTS]
    expected = hugging_face(file).ids(texts)
    wrong = []

    def work() -> None:
        for _ in range(3):
            wrong.extend(a for a, b in zip(fast.ids(texts), expected, strict=True) if a != b)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class _Package:
    """A fast tokenizer that reads the file and fails on some text."""

    class Tokenizer:
        from_json = staticmethod(lambda path: _Package.Tokenizer())

        def no_padding(self) -> None: ...
        def no_truncation(self) -> None: ...

        def encode(self, text, special):
            raise PanicException("index out of bounds")


def test_a_failure_while_reading_is_said_once(file, monkeypatch, said):
    monkeypatch.setattr(encoders, "import_module", lambda name: _Package)
    encoder = Tokie(file, hugging_face(file))
    for _ in range(2):
        assert encoder.ids(TEXTS) == hugging_face(file).ids(TEXTS)
    assert encoder.failed
    assert len(said) == 1
    assert "tokie failed" in said[0]


def test_a_file_that_it_cannot_read_is_an_error(file, monkeypatch):
    class Refuses:
        class Tokenizer:
            @staticmethod
            def from_json(path):
                raise PanicException("no model")

    monkeypatch.setattr(encoders, "import_module", lambda name: Refuses)
    with pytest.raises(ValueError, match=r"tokie cannot read tokenizer\.json: no model"):
        Tokie(file, hugging_face(file))


def test_the_version_is_that_of_the_installed_package(monkeypatch):
    def missing(name):
        raise encoders.metadata.PackageNotFoundError

    monkeypatch.setattr(encoders.metadata, "version", missing)
    assert fast_version() is None
