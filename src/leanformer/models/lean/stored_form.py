"""Models whose modules or weights are not what their class makes: how they are stored and loaded.

    "model_type": "leanformer-bert"                                       in config.json
    "quantization_config": {"stored_as": "leanformer-…", …}

transformers has one door for forms of a model that are put in place before its weights are read,
and calls it quantization, whatever it is. A form of ours is the settings in config.json with two
verbs, before and after the weights are read.

Such a folder never comes up as a dense or random model in silence
(`leanformer.models.lean.stored_config` says how):

    without leanformer   `AutoConfig`, the `AutoModel…` classes and pipelines refuse the model type
                         by name; a class called by its own name (`BertModel`) refuses a
                         quantization_config without a quant_method. `AutoTokenizer` loads: the
                         tokenizer is a plain one.
    with leanformer      `AutoConfig`, the `AutoModel…` classes and pipelines load it. A class
                         called by its own name needs `config=AutoConfig.from_pretrained(folder)`,
                         and refuses the folder otherwise.

Not covered: folders from before the model type was changed ("bert" with a quant_method of ours;
they still load, and are saved anew in this form), architectures that transformers does not have in
its own tables, and programs that read the safetensors file on their own.

`import leanformer` leaves a note for transformers (`leanformer.models.lean.import_hook`), and
`register` is called when transformers has its table of forms, in the middle of its own import. So
nothing here imports that part of transformers before it is asked for.
"""

import sys
from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from transformers.utils.quantization_config import QuantizationConfigMixin

from leanformer.models.lean.stored_config import mark_plain
from leanformer.models.written import check_written

TABLES = "transformers.quantizers.auto"


class StoredForm(QuantizationConfigMixin):
    """What config.json says under `quantization_config`, and what is done about it."""

    method: ClassVar[str]
    """The form's name in config.json."""

    def __init__(self) -> None:
        self.quant_method: Any = self.method

    @abstractmethod
    def before_weights(self, model: Any) -> None:
        """Put in place the modules that the weights are read into."""

    @abstractmethod
    def after_weights(self, model: Any) -> None:
        """Make the model what it is used as; its configuration no longer names the form."""


@cache
def loader() -> type[Any]:
    """What transformers calls when it loads a model of any such form."""
    from transformers.quantizers.base import HfQuantizer

    class FormLoader(HfQuantizer):
        """Lets the form do its part."""

        quantization_config: StoredForm

        def is_serializable(self) -> bool:
            """What was loaded is saved by `save_pretrained` like any other model."""
            return True

        @property
        def is_trainable(self) -> bool:
            """What was loaded is trained like any other model."""
            return True

        def _process_model_before_weight_loading(
            self, model: Any, checkpoint_files: Sequence[str] | None = None, **_: Any
        ) -> None:
            for folder in {Path(file).parent for file in checkpoint_files or ()}:
                check_written(folder)
            self.quantization_config.before_weights(model)

        def _process_model_after_weight_loading(self, model: Any, **_: Any) -> Any:
            form = self.quantization_config
            self.remove_quantization_config(model)
            mark_plain(model.config)
            form.after_weights(model)
            return model

    return FormLoader


def register(form: type[StoredForm]) -> None:
    """Make a form known to transformers; again is the same as once."""
    tables: Any = sys.modules[TABLES]
    tables.AUTO_QUANTIZATION_CONFIG_MAPPING[form.method] = form
    tables.AUTO_QUANTIZER_MAPPING[form.method] = loader()
