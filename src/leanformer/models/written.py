"""Model folders that leanformer wrote: they list their files, and damage is found before loading.

    config.json  model.safetensors  tokenizer.json …
    parts.json                      each of them with its size and checksum

transformers, sentence-transformers and the hub take no notice of the list. A folder without one (a
user's own, one of an earlier version) is checked by its structure alone.
"""

from pathlib import Path

from leanformer.core.storage.parts import LIST, check_parts, list_parts

_READ = frozenset(
    {
        "adapter_config.json",
        "added_tokens.json",
        "chat_template.jinja",
        "config_sentence_transformers.json",
        "generation_config.json",
        "merges.txt",
        "model.safetensors",
        "model.safetensors.index.json",
        "modules.json",
        "sentence_bert_config.json",
        "special_tokens_map.json",
        "spiece.model",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
        "vocab.txt",
    }
)
"""Names by which loading takes a file in. Others may be added: a README, graphs, results."""
_WAY_OUT = f"copy or make the model again, or remove {LIST} if you made the change yourself"


def list_written(folder: Path) -> None:
    """Write the list of the files in a model folder, when everything else is written."""
    list_parts(folder)


def check_written(folder: Path) -> None:
    """Refuse a model folder whose files are not those that were written; one without a list passes.

    Raises:
        ValueError: A file is missing, altered, truncated, or one that loading would read was added;
            the message names it.
        OSError: A file cannot be read.
    """
    if (folder / LIST).exists():
        check_parts(folder, _WAY_OUT, extra=_READ)
