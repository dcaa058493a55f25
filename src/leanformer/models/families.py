"""The architectures that leanformer knows, by `model_type`, and how it names the lean ones."""

FAMILIES = {
    "bert": "Bert",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
    "distilbert": "DistilBert",
    "electra": "Electra",
    "modernbert": "ModernBert",
    "mpnet": "MPNet",
    "deberta-v2": "DebertaV2",
    "gpt2": "GPT2",
    "llama": "Llama",
}
"""Family -> how its class names begin. MiniLM is of family "bert", DeBERTa-v3 of "deberta-v2"."""

OWN_ATTENTION = ("mpnet", "deberta-v2")
"""Families that add relative positions to the scores in code of their own, so that their attention
is neither observed nor replaced through transformers' `AttentionInterface`."""

WHOLE = ("mobilebert",)
"""Architectures that are loaded and trained, and never cut."""

PREFIX = "lean-"
STORED = "leanformer-"
"""How the model types of stored forms begin on disk (`leanformer.models.lean.stored_config`)."""
PACKAGE = "transformers.models."


def family_of(model_type: str) -> str:
    """The family of a `model_type`, e.g. "bert" of "lean-bert" and "leanformer-lean-bert"."""
    return model_type.removeprefix(STORED).removeprefix(PREFIX)


def package_of(family: str) -> str:
    """The module of transformers with the classes of a family, plain or lean."""
    return PACKAGE + family.replace("-", "_")
