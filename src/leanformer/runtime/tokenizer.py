"""The tokenizer of a served folder, as its description says that it is to be used."""

from pathlib import Path

from leanformer.runtime.manifest import Manifest, read_manifest
from leanformer.text import Reader, open_reader


def open_tokenizer(folder: Path, manifest: Manifest | None = None) -> Reader:
    """The reader of `folder`, which cuts texts to what the model reads.

    Args:
        folder: A folder with `leanformer.json`.
        manifest: Its description, where the caller has read it.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged.
    """
    manifest = read_manifest(folder) if manifest is None else manifest
    return open_reader(folder, manifest.max_length)
