"""How the folders of a search describe themselves, and which tokenizer reads their texts."""

from collections.abc import Sequence
from pathlib import Path

from leanformer.core.identity.digest import digest
from leanformer.data import Dataset
from leanformer.runtime.manifest import Manifest, format_of, write_manifest
from leanformer.runtime.session import Precision
from leanformer.runtime.tokenizer import compared_tokenizer


class Descriptions:
    """Writes `leanformer.json` of the systems of one data set.

    Args:
        dataset: Its task, and the texts that a fast tokenizer must read as the checkpoint's does.
        kind: The task that is served.
    """

    def __init__(self, dataset: Dataset, kind: str) -> None:
        self.dataset, self.kind = dataset, kind
        self._compared: dict[str, dict[str, str]] = {}

    def write(
        self,
        folder: Path,
        backend: str,
        precision: Precision,
        max_length: int,
        thresholds: Sequence[float] = (),
        *,
        fast: bool = False,
    ) -> Manifest:
        """Write how a folder describes itself.

        Args:
            folder: A transformer with its tokenizer.
            backend: What runs it.
            precision: What its products run in.
            max_length: Tokens that are read of a text.
            thresholds: The probability from which each label is answered.
            fast: Whether texts are read with the fast tokenizer where its ids are equal; a
                baseline is read as its users read it, with Hugging Face's.
        """
        manifest = Manifest(
            kind=self.kind,
            labels=self.dataset.task.labels,
            thresholds=tuple(thresholds),
            max_length=max_length,
            pairs=self.dataset.train.pairs is not None,
            backend=backend,
            precision=precision,
            tokenizer=self._tokenizer(folder) if fast else {},
            format=format_of(folder),
        )
        return write_manifest(folder, manifest)

    def texts(self) -> list[str]:
        """All texts that a search may look at: those of the test split are not among them."""
        parts = [self.dataset.train, self.dataset.dev, self.dataset.unlabelled]
        return [text for one in parts if one for text in (*one.texts, *(one.pairs or ()))]

    def _tokenizer(self, folder: Path) -> dict[str, str]:
        """What came of comparing the tokenizers of a folder; of equal files once."""
        file = folder / "tokenizer.json"
        if not file.is_file():
            return {}
        key = digest(file.read_bytes())
        if key not in self._compared:
            self._compared[key] = compared_tokenizer(folder, self.texts())
        return self._compared[key]
