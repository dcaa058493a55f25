"""Is a classifier better than always answering the commonest class?

    accuracy > share        share: how much of gold is of the commonest class

Where two texts in a hundred matter, answering "no" to all has an accuracy of 98 %. A student may
keep nearly all of its teacher's accuracy and find nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.numerics.metrics import Accuracy
from leanformer.numerics.paired_bootstrap import paired_bootstrap

Labels = Sequence[int] | NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class AgainstMajority:
    """A classifier beside the constant answer.

    Attributes:
        label: Index of the commonest class in gold; the first one where several are equal.
        share: Its share: the accuracy of always answering it.
        accuracy: That of the classifier.
        constant: Whether the classifier always gives one answer itself.
        better: Whether its accuracy is above the share on these examples.
        proven: Whether that holds with the given confidence, by the paired bootstrap of promises.
    """

    label: int
    share: float
    accuracy: float
    constant: bool
    better: bool
    proven: bool


def against_majority(
    predicted: Labels, gold: Labels, *, confidence: float = 0.9, seed: int = 0
) -> AgainstMajority:
    """Compare answers with the constant one.

    Args:
        predicted: Predicted class indices.
        gold: Right class indices, at least one.
        confidence: Of `proven`, one-sided.
        seed: Of the bootstrap.

    Raises:
        ValueError: There are no examples, or both differ in number.
    """
    answers, right = np.asarray(predicted), np.asarray(gold)
    if len(answers) != len(right) or len(right) == 0:
        raise ValueError(
            f"majority: {len(answers)} answers to {len(right)} examples; give one each, for one "
            "example or more"
        )
    metric = Accuracy()
    label = int(np.bincount(right).argmax())
    share, accuracy = (
        metric.score(given, right) for given in (np.full_like(right, label), answers)
    )
    drawn = paired_bootstrap(
        metric,
        metric.statistics(np.full_like(right, label), right),
        metric.statistics(answers, right),
        seed=seed,
    )
    return AgainstMajority(
        label=label,
        share=share,
        accuracy=accuracy,
        constant=bool((answers == answers[0]).all()),
        better=accuracy > share,
        proven=drawn.lower(confidence) > 1,
    )
