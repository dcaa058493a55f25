import pytest
import search_cases
import tiny_data

from leanformer.models.embedding import Embedding, describe_embedding
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.numerics.pooling import Pooling


@pytest.fixture(scope="session")
def desk(tmp_path_factory):
    """A folder in which the pages' relative paths exist: lean/model, my-model, my-data, notes."""
    folder = tmp_path_factory.mktemp("desk")
    data = tiny_data.write_data(folder / "my-data")
    tiny_data.write_classifier(folder / "my-model", data)
    tiny_data.write_served(folder / "lean" / "model", data)
    search_cases.write_notes(folder / "notes")
    model, tokenizer = tiny_model("bert", head="embedding")
    describe_embedding(model, tokenizer, Embedding(pooling=Pooling()))
    save_model(model, tokenizer, folder / "my-encoder")
    save_model(*tiny_model("bert", num_labels=1), folder / "my-reranker")
    (folder / "texts.txt").write_text("the lazy dog\nmy card was charged twice\n")
    return folder
