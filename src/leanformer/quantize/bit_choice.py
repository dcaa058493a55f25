"""The interface of bit choices: how many bits the weights of each layer get.

Layers of a transformer do not mind rounding alike, so a budget of bits is best spent unevenly. A
choice looks at the model and at texts, and answers with bits layer by layer; the quantizer that
rounds is the same for all, with other bits.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from leanformer.data import Batch


@dataclass(frozen=True)
class Chosen:
    """Bits of one layer, and why.

    Attributes:
        layer: The layer's name, such as "bert.encoder.layer.0".
        bits: Of its weights.
        sensitivity: What the choice was made by; None where nothing was measured.
    """

    layer: str
    bits: int
    sensitivity: float | None = None


class BitChoice(ABC):
    """Chooses bits for layers.

    Attributes:
        texts: Labelled training texts that `choose` looks at; 0 = none.
    """

    family: ClassVar[str] = "bits"
    texts: int

    @abstractmethod
    def choose(
        self,
        model: nn.Module,
        layers: Mapping[str, Sequence[str]],
        slices: Callable[[int], list[list[Batch]]],
        loss: Callable[[nn.Module, Batch], Tensor],
    ) -> list[Chosen]:
        """Bits of each layer, in order.

        Args:
            model: The float model; it is left as it is.
            layers: Names of the weights of each layer, by the layer's name, in order.
            slices: Gives that many parts of the training texts, each in batches.
            loss: Mean loss of a batch.

        Raises:
            ValueError: The choice does not suit the number of layers.
        """
