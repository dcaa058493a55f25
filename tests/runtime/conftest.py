"""Texts, and a folder that PyTorch serves."""

import pytest
from runtime_samples import TEXTS, plain_folder


@pytest.fixture
def texts():
    return list(TEXTS)


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "served"
    plain_folder(folder)
    return folder
