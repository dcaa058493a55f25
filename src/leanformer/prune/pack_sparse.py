"""Sparse storage as a step: the zeros of the layers are left out of the checkpoint.

A plain file holds every zero in four bytes, so that a model of a tenth of its weights is as large
as before. The step writes bitmaps and values, proves that the file has its arithmetic size, and
that the same model is loaded from it.
"""

from functools import partial

from leanformer.core.step import Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.measure.rewritten import rewritten
from leanformer.models.anatomy import cuttable
from leanformer.prune.sparse.sparse_weights import encode_sparse, sparse_bytes, sparse_layers


@technique("pack-sparse", paper="Han et al. 2016 (Deep Compression), arXiv:1510.00149")
class PackSparse(Step):
    """Store a model without its zeros: what weight pruning is good for."""

    max_length: int = 128
    """Longer texts are cut to this many tokens where the loaded model is compared."""

    def apply(self, workspace: Workspace) -> Workspace:
        """Write the sparse checkpoint; the workspace goes on with what is loaded from it.

        Raises:
            ValueError: The architecture is not known, the model rounds (`pack` stores its codes),
                or it has no zeros.
            NoEffect: The file is larger than its bitmaps and values, or what is loaded is another
                model.
        """
        model = workspace.model
        cuttable(model)
        names = sparse_layers(model)
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        asked = sparse_bytes(model, names)
        hold = partial(encode_sparse, names=names)
        return rewritten(workspace, hold, state, asked, self.max_length)
