"""Bi-encoders: texts in, one vector per text out, whatever the folder that holds the model.

    e(x) = pool(h(prompt + x)),        similarity(x, y) = e(x) . e(y)

`open_encoder` opens a folder that leanformer exported (OpenVINO, ONNX Runtime or PyTorch, int8 too)
and any embedding model in the format of transformers or sentence-transformers (PyTorch, in bf16
where the processor multiplies bf16 numbers itself). Texts are sorted by length and computed in
batches of a limited number of tokens; pooling and normalization are computed in fp32.

Legend: N texts, D width of a vector.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from leanformer.core.identity.digest import digest
from leanformer.core.ranges import Count, check_number
from leanformer.core.storage.files import recover_folder
from leanformer.core.technique import nearest
from leanformer.models.embedding import Embedding, Similarity
from leanformer.runtime.manifest import NAME, Manifest, read_manifest
from leanformer.runtime.serving.predictor import Predictor, load
from leanformer.runtime.session import Precision
from leanformer.runtime.systems.transformer import Transformer
from leanformer.text.texts import listed, refusal

_ROLES = {"query": ("query",), "document": ("document", "passage", "corpus")}
_TINY = 1e-12


class Encoder(ABC):
    """Turns texts into vectors; any number of threads may use one at a time.

    Attributes:
        width: Numbers per vector.
        identity: Digest of the weights, the tokenizer and how vectors are made of them; the path of
            the folder is not part of it, nor is the precision of the products in PyTorch.
        precision: What the products are computed in: "fp32", "bf16" or "int8".
        max_length: Tokens that are read of a text, special tokens included.
        prompts: Texts that may be put before a text, by name.
        lengths_count: Whether the lengths of vectors matter when they are compared. If False,
            vectors are compared by their cosine, and a store keeps them normalized.
        similarity: How the model says that its vectors are compared.
    """

    width: int
    identity: str
    precision: Precision
    max_length: int
    prompts: dict[str, str]
    lengths_count: bool
    similarity: Similarity = "cosine"

    @abstractmethod
    def encode(self, texts: Sequence[str], *, prompt: str | None = None) -> NDArray[np.float32]:
        """One vector per text [N, D], in the order of the texts.

        Args:
            texts: The texts; longer ones are cut to `max_length` tokens.
            prompt: Name of the prompt to put before each text; None = the model's default prompt;
                "" = no prompt.

        Raises:
            ValueError: A text is empty or not a string, there is no such prompt, or a vector is not
                finite. The index of the text is named.
        """

    def text_before(self, prompt: str | None) -> str:
        """What `encode` puts before each text where it is given this prompt; "" = nothing.

        Raises:
            ValueError: There is no such prompt.
        """
        return self.prompts[prompt] if prompt else ""

    def prompt_for(self, role: Literal["query", "document"]) -> str | None:
        """The name of the prompt that the model has for queries or documents; None = none.

        Names are looked up as by `encode_query` and `encode_document` of sentence-transformers.
        """
        return next((name for name in _ROLES[role] if name in self.prompts), None)


class PredictorEncoder(Encoder):
    """An encoder made of an open predictor of embeddings and the description of its vectors."""

    def __init__(self, predictor: Predictor, embedding: Embedding, identity: str) -> None:
        """Take over `predictor`, which nobody else may use from now on.

        Raises:
            ValueError: The first vector that it computes is not finite.
        """
        system = predictor.system
        assert isinstance(system, Transformer), "only transformers make vectors"
        system.reader.prefix = ""  # here each call chooses its prompt
        self.predictor, self.embedding, self.identity = predictor, embedding, identity
        self.prompts, self.max_length = dict(embedding.prompts), system.reader.max_length
        self.lengths_count, self.similarity = embedding.lengths_count, embedding.similarity
        self.precision = predictor.manifest.precision
        self.width = 0
        self.width = self.encode(["a"]).shape[1]

    def encode(self, texts: Sequence[str], *, prompt: str | None = None) -> NDArray[np.float32]:
        """See `Encoder.encode`."""
        before = self.text_before(prompt)
        if before:
            texts = [before + text if not refusal(text) else text for text in listed(texts)]
        vectors_ND = self.predictor.encode(texts)
        if not len(vectors_ND):
            return np.zeros((0, self.width), dtype=np.float32)
        finite_N = np.isfinite(vectors_ND).all(axis=1)
        if not finite_N.all():
            raise ValueError(
                f"texts[{int(np.argmin(finite_N))}]: the model's vector is not finite; its weights "
                f"are damaged, or too large for {self.precision}: open it with precision='fp32'"
            )
        if self.embedding.pooling.normalize:  # a graph in bf16 or int8 rounds lengths too
            lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
            vectors_ND = vectors_ND / np.maximum(lengths_N1, _TINY)
        return vectors_ND

    def prompt_for(self, role: Literal["query", "document"]) -> str | None:
        """See `Encoder.prompt_for`; the model's default prompt where it has none for the role."""
        return super().prompt_for(role) or self.embedding.default_prompt_name or None

    def text_before(self, prompt: str | None) -> str:
        """See `Encoder.text_before`."""
        if not prompt:
            return self.embedding.prompt if prompt is None else ""
        if prompt not in self.prompts:
            known = ", ".join(sorted(self.prompts)) or "it has none"
            raise ValueError(
                f"prompt: the model has no prompt {prompt!r}{nearest(prompt, list(self.prompts))}; "
                f"its prompts: {known}"
            )
        return self.prompts[prompt]


def open_encoder(
    folder: str | Path,
    *,
    threads: int | None = None,
    backend: str | None = None,
    precision: Precision | None = None,
    batch_tokens: int | None = None,
) -> Encoder:
    """Open an embedding model.

    Args:
        folder: A folder that leanformer exported, a folder of transformers or
            sentence-transformers, or a name on the Hugging Face hub.
        threads: Threads that compute one call; None = all cores.
        backend: Of an exported folder: "openvino", "onnxruntime" or "pytorch"; None = the winner of
            its race. Any other folder runs in PyTorch.
        precision: None = of an exported folder what was recorded; in PyTorch bf16 where the
            processor multiplies bf16 numbers itself, and fp32 elsewhere.
        batch_tokens: Padded tokens per batch, at most; None = the backend's own limit (1,024 in
            PyTorch).

    Raises:
        OSError: There is no such folder.
        ValueError: The folder is damaged or is not an embedding model; or it does not have the
            backend or precision.
        ImportError: The backend is not installed; the message names the command.
    """
    if batch_tokens is not None:
        check_number(Count, batch_tokens, "batch_tokens")
    place = Path(folder).expanduser()
    recover_folder(place)
    if (place / NAME).is_file():
        return _open_exported(place, threads, backend, precision, batch_tokens)
    if backend not in (None, "pytorch"):
        raise ValueError(
            f"backend: {folder} was not exported by leanformer and runs in PyTorch only, not in "
            f"{backend!r}; leave backend out, or export the model (leanformer.runtime.export)"
        )
    return _open_model(folder, threads, precision, batch_tokens)


def _open_exported(
    folder: Path,
    threads: int | None,
    backend: str | None,
    precision: Precision | None,
    batch_tokens: int | None,
) -> Encoder:
    from leanformer.models.io.read_modules import read_embedding

    manifest = read_manifest(folder)
    if manifest.kind != "embedding":
        system = "a cascade for" if manifest.system == "cascade" else "a model for"
        raise ValueError(
            f"{folder} holds {system} {manifest.kind}, which makes no vectors; name an embedding "
            "model, or ask this one with leanformer.load(folder).predict(texts)"
        )
    predictor = load(folder, backend, threads, precision=precision)
    if batch_tokens is not None and isinstance(predictor.system, Transformer):
        predictor.system.max_tokens = batch_tokens
    return PredictorEncoder(predictor, read_embedding(folder)[0], _content(predictor.manifest))


def _content(manifest: Manifest) -> str:
    """The digest of an exported folder: its files for one backend, and how they are computed."""
    files = [(name, manifest.files[name]) for name in sorted(Transformer.files(manifest))]
    return digest("exported", manifest.backend, manifest.precision, manifest.max_length, files)


def _open_model(
    source: str | Path, threads: int | None, precision: Precision | None, batch_tokens: int | None
) -> Encoder:
    from leanformer.core.machine.threads import check_threads
    from leanformer.models.digest import model_identity
    from leanformer.models.embedding import embedding_of
    from leanformer.models.io.load import folder_of, load_model
    from leanformer.retrieve.embed.in_pytorch import predictor_in_pytorch

    check_threads(threads)
    folder = folder_of(source)
    _refuse_heads(folder)
    model, tokenizer = load_model(folder, "embedding")
    embedding = embedding_of(model)
    identity = digest("model", sorted(model_identity(model, tokenizer).items()))
    predictor = predictor_in_pytorch(
        model,
        tokenizer,
        "embedding",
        precision=precision,
        threads=threads,
        batch_tokens=batch_tokens,
    )
    return PredictorEncoder(predictor, embedding, identity)


def _refuse_heads(folder: Path) -> None:
    """Refuse a model that was trained to classify, unless sentence-transformers' files lie there.

    Raises:
        ValueError: It has a head for classification, regression, ranking or tokens.
    """
    from leanformer.models.io.load import has_head
    from leanformer.models.io.read_modules import MODULES

    if (folder / MODULES).is_file():
        return
    for head in ("classification", "tokens"):
        if has_head(folder, head):  # type: ignore[arg-type]
            raise ValueError(
                f"{folder} holds a model with a head for {head} (a classifier, or a cross-encoder) "
                "and makes no vectors; name an embedding model, or train one from this encoder "
                "(leanformer.retrieve.training)"
            )
