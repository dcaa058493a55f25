"""Read what sentence-transformers' files say about an embedding model, or refuse it by name.

    modules.json                        the modules in order: Transformer, Pooling, Normalize
    1_Pooling/config.json               the mode of pooling, as booleans (versions 2 to 5) or a word
    sentence_bert_config.json           max_seq_length, do_lower_case
    config_sentence_transformers.json   prompts, the similarity

modules.json names each class with the Python module that held it, which moved between versions:
`sentence_transformers.models.Pooling` became `….sentence_transformer.modules.pooling.Pooling`. The
last part stayed. Anything that would give other vectors than sentence-transformers is an error,
before a weight is read. A folder without modules.json is a plain encoder: its vectors are the mean
of its tokens, normalized.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from leanformer.core import codec
from leanformer.core.shown import shown
from leanformer.core.storage.json_file import read_json, read_json_list
from leanformer.models.embedding import FIELD, Embedding, Similarity, without_widths
from leanformer.numerics.pooling import MODES, Pooling

MODULES = "modules.json"
MODEL = "config_sentence_transformers.json"
TRANSFORMER = (  # the first that is there, as sentence-transformers looks for them
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
BOOLEANS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_WIDTHS = ("word_embedding_dimension", "embedding_dimension")
_ORDER = ("Transformer", "Pooling", "Normalize")
_TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}


def read_embedding(folder: Path) -> tuple[Embedding, int | None]:
    """How the model in `folder` makes vectors, and the tokens that it reads of a text, if said.

    Raises:
        ValueError: A file is damaged, or asks for something that leanformer does not keep; the
            message names the file, the value and the way out.
    """
    kept = _kept(folder / "config.json")
    if not (folder / MODULES).is_file():
        return kept or Embedding(declared=False), None
    paths = _paths(folder / MODULES)
    normalize = "Normalize" in paths
    if normalize:
        _check_normalize(folder / paths["Normalize"] / "config.json")
    mode = _mode(folder / paths["Pooling"] / "config.json")
    limit = _limit(folder)
    pooling = Pooling(mode=mode, normalize=normalize)
    found = replace(_of_model(folder / MODEL), pooling=pooling)
    if kept is not None and replace(without_widths(kept), declared=True) == found:
        found = kept  # leanformer wrote the files, which have no place for all that it keeps
    return found, limit


def _kept(file: Path) -> Embedding | None:
    """The description that config.json keeps of a model that leanformer loaded before."""
    described = read_json(file).get(FIELD) if file.is_file() else None
    if described is None:
        return None
    found: Embedding = codec.decode(Embedding, described, f"{file}: {FIELD}")
    return found


def _paths(file: Path) -> dict[str, str]:
    """The folder of each module by its class name, checked."""
    found: dict[str, str] = {}
    for entry in read_json_list(file):
        kind = entry.get("type") if isinstance(entry, dict) else None
        path = entry.get("path") if isinstance(entry, dict) else None
        if not isinstance(kind, str) or not isinstance(path, str):
            raise ValueError(
                f"{file}: {shown(entry)} does not give a type and a path; save it again"
            )
        name = kind.rpartition(".")[2]
        if not kind.startswith("sentence_transformers.") or name not in _ORDER or name in found:
            raise ValueError(
                f"{file}: module {shown(kind)} in {shown(path)} cannot be kept; leanformer "
                "keeps one "
                "Transformer, one Pooling and a Normalize. Name another model, or take the module "
                "out of a copy of the folder if the vectors before it are the ones you want"
            )
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ValueError(
                f"{file}: path {shown(path)} leads out of the folder; save the model again"
            )
        found[name] = path
    if tuple(found) not in (_ORDER[:2], _ORDER):
        raise ValueError(
            f"{file}: the modules are {', '.join(found) or 'none'}; expected {', '.join(_ORDER)} "
            "in this order, the last one optional. Save the model with sentence-transformers again"
        )
    if found["Transformer"]:
        raise ValueError(
            f"{file}: the Transformer lies in {shown(found['Transformer'])} and not at the "
            "top; open "
            "the folder with sentence-transformers 3 or later and save it again, or name the model "
            "folder itself where its mean, normalized, is what you want"
        )
    return found


def _mode(file: Path) -> Any:
    """The one mode of pooling, from either form of its config.json."""
    if not file.is_file():
        raise ValueError(f"{file} is missing; {MODULES} names it. Copy the model again")
    config = read_json(file)
    known = (*_WIDTHS, *BOOLEANS, "pooling_mode", "include_prompt")
    if strange := sorted(set(config) - set(known)):
        raise ValueError(f"{file}: {_shown(config, strange[0])} is not known to leanformer")
    if config.get("include_prompt", True) is not True:
        raise ValueError(
            f"{file}: {_shown(config, 'include_prompt')} leaves the prompt's tokens out of the "
            "pooling, which cannot be kept; name a model that pools over them too"
        )
    modes = config.get("pooling_mode", "mean")
    if "pooling_mode" not in config and any(key in config for key in BOOLEANS):
        modes = [mode for key, mode in BOOLEANS.items() if config.get(key)]
    modes = list(modes) if isinstance(modes, list) else [modes]
    if len(modes) != 1:
        raise ValueError(
            f"{file}: pools by {' and '.join(map(str, modes)) or 'nothing'}; exactly one mode can "
            "be kept. Name a model whose vectors are not put together of several"
        )
    if modes[0] not in MODES:
        raise ValueError(f"{file}: pooling_mode {shown(modes[0])} is not one of {', '.join(MODES)}")
    return modes[0]


def _check_normalize(file: Path) -> None:
    """Refuse to normalize anything but the text's vector."""
    config = read_json(file) if file.is_file() else {}
    for key, value in config.items():
        if value not in (None, "sentence_embedding"):
            raise ValueError(
                f"{file}: {_shown(config, key)} does not normalize the text's vector, which is all "
                "that leanformer keeps; name another model"
            )


def _limit(folder: Path) -> int | None:
    """The most tokens of a text that are read, from the Transformer's own file."""
    file = next((folder / name for name in TRANSFORMER if (folder / name).is_file()), None)
    if file is None:
        return None
    config = read_json(file)
    if config.get("do_lower_case"):
        raise ValueError(
            f"{file}: do_lower_case is true, which the tokenizer does not know; set it to false "
            "where the tokenizer lower-cases already, or save a tokenizer that does"
        )
    plain = {
        "transformer_task": "feature-extraction",
        "module_output_name": "token_embeddings",
        "unpad_inputs": config.get("unpad_inputs"),  # changes the speed only
        "modality_config": config.get("modality_config"),
    }
    modality = config.get("modality_config") or {"text": _TEXT}
    if not isinstance(modality, dict) or modality.get("text") != _TEXT:
        raise ValueError(
            f"{file}: {_shown(config, 'modality_config')} does not read texts by the model's last "
            "hidden states; name a model of texts"
        )
    for key, value in config.items():
        if key not in ("max_seq_length", "do_lower_case") and value and value != plain.get(key):
            raise ValueError(
                f"{file}: {_shown(config, key)} cannot be kept; remove it from a copy of the "
                "folder if the vectors do not depend on it, or name another model"
            )
    limit = config.get("max_seq_length")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ValueError(f"{file}: {_shown(config, 'max_seq_length')} is not a number of tokens")
    return limit


def _of_model(file: Path) -> Embedding:
    """Prompts and similarity; the pooling is the modules' own."""
    config = read_json(file) if file.is_file() else {}
    if config.get("model_type", "SentenceTransformer") != "SentenceTransformer":
        raise ValueError(
            f"{file}: {_shown(config, 'model_type')} does not make one vector per text; "
            "name a SentenceTransformer"
        )
    if config.get("truncate_dim") is not None:
        raise ValueError(
            f"{file}: {_shown(config, 'truncate_dim')} cuts the vectors, which cannot be kept; set "
            "it to null, and cut the student's vectors where you use them"
        )
    similarity: Any = config.get("similarity_fn_name") or "cosine"
    if similarity not in get_args(Similarity):
        raise ValueError(
            f"{file}: {_shown(config, 'similarity_fn_name')} is not one of "
            f"{', '.join(get_args(Similarity))}"
        )
    prompts = config.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(
        text is None or isinstance(text, str) for text in prompts.values()
    ):
        raise ValueError(f"{file}: {_shown(config, 'prompts')} is not a text for each name")
    try:
        return Embedding(
            prompts={name: text for name, text in prompts.items() if text is not None},
            default_prompt_name=config.get("default_prompt_name") or "",
            similarity=similarity,
        )
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _shown(config: dict[str, Any], key: str) -> str:
    return f"{key} = {shown(config.get(key))}"
