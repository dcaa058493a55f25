import numpy as np

from leanformer.tasks import Asked, Classification
from leanformer.tasks.answers import Prediction

KIND = Classification()
OUTPUTS = [np.array([0.0, 5.0], np.float32), np.array([3.0, -3.0], np.float32)]


def test_the_answer_is_the_class_with_the_largest_logit() -> None:
    asked = Asked(names=("a", "b"), labels=[1, 1])
    assert KIND.answers(OUTPUTS, asked).tolist() == [1, 0]
    assert KIND.right(asked).tolist() == [1, 1]
    assert KIND.metric("accuracy", asked.names).score(
        KIND.answers(OUTPUTS, asked), KIND.right(asked)
    ) == 0.5  # fmt: skip
    assert KIND.agreement(OUTPUTS, OUTPUTS[::-1]) == 0


def test_a_user_gets_labels_with_probabilities() -> None:
    first, second = KIND.serve(OUTPUTS, ("a", "b"), ["x", "y"], [])
    assert isinstance(first, Prediction)
    assert (first.label, second.label) == ("b", "a")
    assert first.score > 0.99
