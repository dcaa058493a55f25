"""The loss of a bi-encoder in the one loop: an objective of the vectors of a batch's texts."""

from typing import Any

import torch
from torch import Tensor, nn

from leanformer.core import codec
from leanformer.data import Batch
from leanformer.models.embedding import embedding_of
from leanformer.retrieve.objectives import Columns, Matryoshka, PairClassification, VectorObjective
from leanformer.retrieve.objectives.pair_classification import PairClassifier
from leanformer.retrieve.training.cached import pooled_vectors
from leanformer.retrieve.training.tuple_batches import TupleBatch
from leanformer.train.loss import Carry, Loss, Term


class VectorLoss(Loss):
    """What an objective says of the vectors of a batch.

    Args:
        objective: What is compared, and how.
        model: The model without a head that is trained, for its width.
        classes: How many classes the data have; 0 = none.
        max_tokens: Padded tokens that pass through the model at once, of a batch that comes whole;
            more are encoded in parts with cached gradients.
    """

    def __init__(
        self, objective: VectorObjective, model: Any, *, classes: int = 0, max_tokens: int
    ) -> None:
        super().__init__()
        self.objective, self.max_tokens = objective, max_tokens
        self.additive = objective.described.additive
        self.module = objective.build(int(model.config.hidden_size), classes)
        self._normalize = embedding_of(model).pooling.normalize

    def identity(self) -> dict[str, Any]:
        """The objective with its settings."""
        return {"objective": codec.encode(self.objective)}

    def outputs(self, model: nn.Module, batch: Batch, carry: Carry) -> Columns:
        """The vectors of the batch's texts, and which belong together."""
        assert isinstance(batch, TupleBatch), "a bi-encoder learns from tuples of texts"
        assert batch.places is not None
        return Columns(
            pooled_vectors(model, batch.inputs, self.max_tokens),
            batch.places,
            batch.targets,
            batch.excluded,
            self._normalize,
        )

    def terms(self, outputs: Columns, batch: Batch) -> list[Term]:
        """One term, summed over tuples; in fp32, because cosines of bf16 are too coarse."""
        with torch.autocast(outputs.pooled_UD.device.type, enabled=False):
            total: Tensor = self.module(outputs)
        name = self.objective.technique  # type: ignore[attr-defined]
        return [Term(name, total, unit="example")]

    @property
    def classifier(self) -> PairClassifier:
        """What tells the class of a pair.

        Raises:
            AssertionError: The objective has no classes.
        """
        assert isinstance(self.objective.described, PairClassification)
        module: Any = self.module.whole if isinstance(self.objective, Matryoshka) else self.module
        assert isinstance(module, PairClassifier)
        return module
