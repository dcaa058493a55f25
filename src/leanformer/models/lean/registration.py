"""The lean architectures and the stored forms in transformers' tables of classes.

transformers keeps names, not classes: model_type -> class name, and it imports
`transformers.models.<model_type>` when a class is asked for. The lean names are added here; the
import hook answers for the modules. So nothing is built, and no model file of transformers is
imported, before somebody asks for it.

A stored form (`leanformer.models.lean.stored_config`) needs its model type only: from its
configuration on, transformers finds everything under the name of the plain class.
"""

import sys
from typing import Any

from leanformer.models.families import FAMILIES, PREFIX, STORED

CONFIGURATIONS = "transformers.models.auto.configuration_auto"
MODELS = "transformers.models.auto.modeling_auto"

_MAPPINGS = (
    "MODEL_MAPPING",
    "MODEL_FOR_PRETRAINING_MAPPING",
    "MODEL_FOR_CAUSAL_LM_MAPPING",
    "MODEL_FOR_MASKED_LM_MAPPING",
    "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING",
    "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING",
    "MODEL_FOR_QUESTION_ANSWERING_MAPPING",
    "MODEL_FOR_MULTIPLE_CHOICE_MAPPING",
)


def register_configurations() -> None:
    """Make the lean configurations, and those of all stored forms, known to `AutoConfig`."""
    names = sys.modules[CONFIGURATIONS].CONFIG_MAPPING_NAMES
    for family, stem in FAMILIES.items():
        names[PREFIX + family] = f"Lean{stem}Config"
    plain = [name for name in names if not name.startswith(STORED)]
    names.update({STORED + name: STORED + name for name in plain})


def register_models() -> None:
    """Make the lean models known to the `AutoModel…` classes, and so to pipelines."""
    tables: Any = sys.modules[MODELS]
    for mapping in _MAPPINGS:
        names = getattr(tables, f"{mapping}_NAMES")
        by_config = getattr(tables, mapping)._reverse_config_mapping
        for family, stem in FAMILIES.items():
            if isinstance(names.get(family), str):
                names[PREFIX + family] = f"Lean{names[family]}"
                by_config[f"Lean{stem}Config"] = PREFIX + family


REGISTER = {CONFIGURATIONS: register_configurations, MODELS: register_models}
