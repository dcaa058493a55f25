"""The architectures that leanformer knows, by `model_type`, and how it names the lean ones."""

FAMILIES = {
    "bert": "Bert",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
    "distilbert": "DistilBert",
    "electra": "Electra",
    "modernbert": "ModernBert",
    "gpt2": "GPT2",
    "llama": "Llama",
}
"""Family -> how its class names begin. MiniLM is of family "bert"."""

WHOLE = ("mobilebert",)
"""Architectures that are loaded and trained, and never cut."""

PREFIX = "lean-"
PACKAGE = "transformers.models."


def family_of(model_type: str) -> str:
    """The family of a plain or lean `model_type`: "lean-bert" and "bert" are of family "bert"."""
    return model_type.removeprefix(PREFIX)


def package_of(family: str) -> str:
    """The module of transformers with the classes of a family, plain or lean."""
    return PACKAGE + family.replace("-", "_")
