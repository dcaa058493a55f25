"""An embedding model's folder as sentence-transformers reads it.

The files are written in the form of version 2, which versions 3 to 6 open too. What is written is
what the model's own description says (`leanformer.models.embedding`), so that
`SentenceTransformer(folder).encode` gives the vectors, and the lengths, of `leanformer.load`.
Layers of uneven shape need `import leanformer` before, as everywhere in transformers.
"""

import json
from pathlib import Path
from typing import Any

from leanformer.models.embedding import FIELD, Embedding, embedding_of
from leanformer.models.io.read_modules import BOOLEANS, MODEL, MODULES, TRANSFORMER

_TYPES = "sentence_transformers.models."


def write_embedding(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write modules.json and what it names into `folder`, where `model` makes embeddings.

    A model makes embeddings where its configuration says how, and where it has no head: a
    masked language model or a classifier made of one stays a plain folder.

    Args:
        folder: Where config.json and the weights lie.
        model: A transformers model.
        tokenizer: Its tokenizer, whose `model_max_length` bounds what is read of a text.
    """
    if getattr(model.config, FIELD, None) is None or model.base_model is not model:
        return
    embedding = embedding_of(model)
    modules = ["Transformer", "Pooling", *(["Normalize"] if embedding.pooling.normalize else [])]
    paths = [f"{number}_{name}" if number else "" for number, name in enumerate(modules)]
    for path in paths[1:]:
        (folder / path).mkdir()
    entries = [
        {"idx": number, "name": str(number), "path": path, "type": f"{_TYPES}{name}"}
        for number, (name, path) in enumerate(zip(modules, paths, strict=True))
    ]
    _write(folder / MODULES, entries)
    width = int(model.config.hidden_size)
    modes = {key: mode == embedding.pooling.mode for key, mode in BOOLEANS.items()}
    _write(folder / paths[1] / "config.json", {"word_embedding_dimension": width, **modes})
    if embedding.pooling.normalize:
        _write(folder / paths[2] / "config.json", {})  # archives and hubs drop empty folders
    limit = int(tokenizer.model_max_length)
    _write(folder / TRANSFORMER[0], {"max_seq_length": limit, "do_lower_case": False})
    _write(folder / MODEL, _of_model(embedding))


def _of_model(embedding: Embedding) -> dict[str, Any]:
    return {
        "prompts": embedding.prompts,
        "default_prompt_name": embedding.default_prompt_name or None,
        "similarity_fn_name": embedding.similarity,
    }


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
