"""What a folder that is searched was made of: `search.json`, beside the store and its indexes.

FOLDER/search.json      how texts were cut, what they were embedded by
FOLDER/store/           passages with their vectors (`leanformer.retrieve.store`)
FOLDER/store/index/     the index of vectors, derived from the store
FOLDER/bm25/            the index of terms, derived from the store
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leanformer.core.storage.files import write_text
from leanformer.core.storage.json_file import read_json
from leanformer.retrieve.searching.texts.passages import Cutting

NAME = "search.json"
STORE, BM25 = "store", "bm25"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Description:
    """How a folder was made.

    Attributes:
        cutting: How texts were cut into passages.
        encoder: Folder or hub name of the model that embedded them; "" = there are no vectors.
        identity: Digest of that model; "" where there are no vectors.
        bm25: Whether terms are indexed.
    """

    cutting: Cutting
    encoder: str = ""
    identity: str = ""
    bm25: bool = True

    @property
    def dense(self) -> bool:
        """Whether passages have vectors."""
        return bool(self.identity)

    def write(self, folder: Path) -> None:
        """Write `search.json`."""
        found = {"format": _FORMAT, **asdict(self)}
        write_text(folder / NAME, json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def read_description(folder: Path) -> Description:
    """What `search.json` says.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or was written by a later version.
    """
    file = folder / NAME
    if not file.is_file():
        raise FileNotFoundError(
            f"{folder}: no index of texts here ({NAME} is missing); make one: leanformer index "
            f"TEXTS --encoder MODEL --out {folder}"
        )
    found: dict[str, Any] = read_json(file)
    if found.get("format") != _FORMAT:
        raise ValueError(
            f"{file}: format {found.get('format')!r}, and this version reads {_FORMAT}; index the "
            "texts again into another folder, or use the version that wrote it"
        )
    try:
        cutting = Cutting(**found["cutting"])
        made = Description(
            cutting=cutting,
            encoder=found["encoder"],
            identity=found["identity"],
            bm25=found["bm25"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is damaged ({error}); restore it from a copy, or index the texts again into "
            "another folder"
        ) from None
    typed = {"encoder": str, "identity": str, "bm25": bool}
    for name, kind in typed.items():
        if not isinstance(getattr(made, name), kind):
            raise ValueError(f"{file}: {name} is not of the type {kind.__name__}; restore the file")
    return made
