"""How much quality a trained model loses when its attention is exchanged, as advice cites it.

all-MiniLM-L6, a bidirectional encoder with 1,024 token positions, was fine-tuned on IMDB's long
reviews with dense attention. Then each mechanism replaced dense attention in all layers. Accuracy
was measured with nothing trained, and again after 160 texts of training with the mechanism, which
dense attention had too. One seed; 3 points are noise.

The counts are those of `docs/results/attention-quality.jsonl`, which a test compares.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from leanformer.attention.heads import Swap

DATA = "MiniLM-L6 on IMDB's long reviews, 1,024 tokens"
TEXTS = 300  # of the test split
TUNED_ON = 160  # training texts
NOISE = 0.03
COIN = 0.5  # accuracy of a coin


@dataclass(frozen=True)
class Exchanged:
    """One mechanism in place of dense attention.

    Attributes:
        right_at_once: Test texts that the model labels rightly with nothing trained.
        right_tuned: The same after a short training.
        settings: Of the mechanism, where they are not those that are timed.
    """

    right_at_once: int
    right_tuned: int
    settings: str = ""

    @property
    def at_once(self) -> float:
        """Accuracy with nothing trained."""
        return self.right_at_once / TEXTS

    @property
    def tuned(self) -> float:
        """Accuracy after a short training."""
        return self.right_tuned / TEXTS

    @property
    def swap(self) -> Swap:
        """What the exchange means for a trained model, by its accuracy with nothing trained."""
        if self.at_once >= DENSE.at_once - NOISE:
            return "keeps"
        return "loses" if self.at_once > (DENSE.at_once + COIN) / 2 else "ruins"


DENSE = Exchanged(260, 263)
EXCHANGED: Mapping[str, Exchanged] = {
    "longformer": Exchanged(258, 270, "windows of 256"),
    "bigbird": Exchanged(265, 273, "blocks of 32"),
    "lsh": Exchanged(156, 219),
    "linear": Exchanged(226, 249),
    "nystrom": Exchanged(255, 255),
    "performer": Exchanged(219, 251),
    "clustered": Exchanged(224, 262),
    "linformer": Exchanged(124, 134),
    "synthesizer": Exchanged(229, 248),
    "sinkhorn": Exchanged(222, 228),
}
"""By the name that `leanformer attention bench` gives a mechanism."""

MEANING: Mapping[Swap, str] = {
    "keeps": "a trained model keeps its quality",
    "loses": "a trained model loses quality and must be trained with it",
    "ruins": "a trained model does little better than guess until it is trained anew",
    "unmeasured": "what a trained model loses was not measured",
}


def cost_of(name: str, swap: Swap) -> str:
    """What an exchange costs in quality, as a phrase with its numbers.

    Args:
        name: Of the mechanism, as in `leanformer.attention.presets.mechanisms`.
        swap: What the mechanism says itself, see `Capabilities.swap`.
    """
    found = EXCHANGED.get(name)
    if found is None or found.swap != swap:  # it was not measured, or with other settings
        return f"{MEANING[swap]} (how much was not measured)" if swap == "loses" else MEANING[swap]
    settings = f", {found.settings}" if found.settings else ""
    return (
        f"{MEANING[swap]} ({DATA}{settings}: {found.at_once:.1%} at once where dense has "
        f"{DENSE.at_once:.1%}, {found.tuned:.1%} after {TUNED_ON} texts where dense has "
        f"{DENSE.tuned:.1%})"
    )
