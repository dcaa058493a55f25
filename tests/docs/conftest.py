import pytest
import tiny_data


@pytest.fixture(scope="session")
def desk(tmp_path_factory):
    """A folder in which the pages' relative paths exist: lean/model, my-model, my-data."""
    folder = tmp_path_factory.mktemp("desk")
    data = tiny_data.write_data(folder / "my-data")
    tiny_data.write_classifier(folder / "my-model", data)
    tiny_data.write_served(folder / "lean" / "model", data)
    (folder / "texts.txt").write_text("the lazy dog\nmy card was charged twice\n")
    return folder
