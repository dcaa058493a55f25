"""Packing as a step: the model that learned to round is stored in as few bits as it rounds to.

The checkpoint loads with `AutoModel….from_pretrained` after `import leanformer`. The step proves
that the file has its arithmetic size, and that what is loaded are the same weights. Few bits
are a gain in size; products run as fast as the runtime's, which are int8 at best (`int8`).
"""

from collections.abc import Mapping
from functools import partial

from leanformer.core.ranges import Length
from leanformer.core.step import Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.measure.rewritten import rewritten
from leanformer.numerics.blocks import Quantized
from leanformer.quantize.packed import arithmetic_bytes, codes_of_layers, hold, rounded_state


@technique("pack", paper="Zhang et al. 2020, arXiv:2009.12812")
class Pack(Step):
    """Store the codes that the model was trained to round to: the smallest file."""

    max_length: Length = 128
    """Longer texts are cut to this many tokens where the loaded model is compared."""

    def apply(self, workspace: Workspace) -> Workspace:
        """Write the packed checkpoint; the workspace goes on with what is loaded from it.

        Raises:
            ValueError: No layer of the model rounds its weight.
            NoEffect: The file is larger than its codes, scales and floats, or what is loaded is
                not what was packed.
        """
        return written(workspace, codes_of_layers(workspace.model), self.max_length)


def written(
    workspace: Workspace, codes: Mapping[str, Quantized], max_length: int = 128
) -> Workspace:
    """The workspace with its packed checkpoint written, and what is loaded from it as its model.

    Args:
        workspace: Its model multiplies with the weights that `codes` stand for.
        codes: Of each layer that is packed, by name.
        max_length: Longer texts are cut to this many tokens where outputs are compared.

    Raises:
        NoEffect: The file is larger than its codes, scales and floats, or what is loaded is not
            what was packed.
    """
    state = rounded_state(workspace.model, codes)
    asked = arithmetic_bytes(workspace.model, codes)
    return rewritten(workspace, partial(hold, stored=codes), state, asked, max_length)
