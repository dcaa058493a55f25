"""Longer texts as a step: places beyond those that a model was trained with.

Long texts need both: a mechanism whose time does not grow with their square (`attend`), and places
to stand at.
"""

import torch

from leanformer.core.proof import Proof, require
from leanformer.core.ranges import Length
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.models.cutting.positions import extend_positions


@technique("extend-positions", paper="Beltagy et al. 2020 (Longformer), arXiv:2004.05150")
class ExtendPositions(Step):
    """Let a model read longer texts than it was trained with; then train on."""

    length: Length = 4096
    """Tokens of the longest text, special ones included."""

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the layers stay."""
        return sketch

    def apply(self, workspace: Workspace) -> Workspace:
        """Copy the position embeddings over and over; texts that fitted are read as before.

        Raises:
            ValueError: The architecture is not known, or the model reads texts that long already.
            NoEffect: A short text is read otherwise than before.
        """
        model = workspace.model
        ids = torch.randint(
            5, model.config.vocab_size, (2, 16), generator=torch.Generator().manual_seed(0)
        ).to(model.device)
        training = model.training
        model.eval()
        with torch.no_grad():
            said = model.base_model(input_ids=ids)[0]
            before = extend_positions(model, self.length)
            off = float((model.base_model(input_ids=ids)[0] - said).abs().max())
        model.train(training)
        workspace.tokenizer.model_max_length = self.length
        proofs = [
            Proof(
                claim="longest text",
                before=before,
                after=self.length,
                unit="tokens",
                ok=self.length > before,
            ),
            Proof(claim="change of a short text's outputs", before=None, after=off, unit="",
                  ok=off < 1e-5),
        ]  # fmt: skip
        return workspace.with_(proofs=tuple(require(proofs)))
