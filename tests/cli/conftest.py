import sys

import pytest
import tiny_data

from leanformer.cli import main


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return tiny_data.write_data(tmp_path_factory.mktemp("data") / "animals")


@pytest.fixture(scope="session")
def teacher(tmp_path_factory, data):
    return tiny_data.write_classifier(tmp_path_factory.mktemp("teacher") / "model", data)


@pytest.fixture(scope="session")
def served(tmp_path_factory, data):
    return tiny_data.write_served(tmp_path_factory.mktemp("served") / "model", data)


@pytest.fixture
def run(monkeypatch, capsys):
    """`leanformer …` in this process: its exit code, stdout and stderr."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["leanformer", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code or 0, shown.out, shown.err

    return call
