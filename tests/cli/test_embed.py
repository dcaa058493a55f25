"""`leanformer embed`: one command from a file to vectors, and again."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from leanformer.cli import app
from leanformer.cli.progress import EmbedWatcher, progress_line
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.retrieve.embed import open_encoder, read_embeddings
from leanformer.retrieve.embed.progress import Progress

TEXTS = ["the film was slow", "jump", "where is the film of the bowl", "jump"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embed") / "m"
    save_model(*tiny_model("bert", head="embedding"), folder)
    return folder


def test_a_file_is_embedded_and_its_rows_are_told(model: Path, tmp_path: Path) -> None:
    rows = "".join(f"{text}\tk{number}\n" for number, text in enumerate(TEXTS))
    (tmp_path / "texts.tsv").write_text(f"body\tkey\n{rows}one field\n")
    command = ["embed", str(model), "--in", str(tmp_path / "texts.tsv"), "--out"]
    command += [str(tmp_path / "out"), "--column", "body", "--id", "key", "--threads", "1"]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code
    assert "texts.tsv:6: 1 fields where" in str(refused.exception)
    done = CliRunner().invoke(app, [*command, "--skip-errors", "--dtype", "float16", "--overwrite"])
    assert done.exit_code == 0, done.output
    assert "4 vectors of 32 float16 numbers, 1 rows skipped" in done.output
    assert "skipped: " in done.output
    found = read_embeddings(tmp_path / "out")
    assert [*found.ids] == ["k0", "k1", "k2", "k3"]
    expected = open_encoder(model, threads=1).encode(TEXTS)
    np.testing.assert_allclose(found.vectors[:], expected, atol=1e-2)


def test_progress_tells_the_speed_and_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    line = progress_line(Progress(12000, 250.4, 0.25, 144.0))
    assert line == "  12,000 texts  25%  250 texts/s  2 min left"
    watch = EmbedWatcher()
    for share in (0.1, 0.2, 0.3):
        watch(Progress(1, 1.0, share, 1.0))
    watch(Progress(48000, 250.0, 1.0, 0.0, last=True))
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == "  48,000 texts  100%  250 texts/s"
    assert len(told) <= 2
