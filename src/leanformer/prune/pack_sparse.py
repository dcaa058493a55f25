"""Sparse storage, as a step: the checkpoint leaves out the zeros of the layers.

A plain file stores every zero in four bytes, so that a model with a sparsity of 0.9 is as large as
before. This step stores bitmaps and values. It proves that the file is as small as their arithmetic
says, and that the model loaded from it is the same.
"""

from functools import partial

from leanformer.core.ranges import Length
from leanformer.core.step import Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.measure.rewritten import rewritten
from leanformer.models.anatomy import require_prunable
from leanformer.prune.sparse.sparse_weights import encode_sparse, sparse_bytes, sparse_layers


@technique("pack-sparse", paper="Han et al. 2016 (Deep Compression), arXiv:1510.00149")
class PackSparse(Step):
    """Store a model without its zeros: the benefit of weight pruning."""

    max_length: Length = 128
    """Longer texts are cut to this many tokens when the loaded model is compared."""

    def apply(self, workspace: Workspace) -> Workspace:
        """Write the sparse checkpoint; the workspace goes on with what is loaded from it.

        Raises:
            ValueError: The architecture is unknown, the model is quantized (use `pack`), or it has
                no zeros.
            NoEffect: The file is larger than its bitmaps and values, or the loaded model differs.
        """
        model = workspace.model
        require_prunable(model)
        names = sparse_layers(model)
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        asked = sparse_bytes(model, names)
        hold = partial(encode_sparse, names=names)
        return rewritten(workspace, hold, state, asked, self.max_length)
