import numpy as np

from leanformer.tasks import Asked, Regression

KIND = Regression()
OUTPUTS = [np.array([number], np.float32) for number in (0.5, -2.0, 7.0)]


def test_the_answer_is_the_output_itself() -> None:
    asked = Asked(labels=[0.4, -1.0, 3.0])
    assert KIND.answers(OUTPUTS, asked) == [0.5, -2.0, 7.0] == KIND.serve(OUTPUTS, (), [], [])
    assert KIND.right(asked) == [0.4, -1.0, 3.0]
    assert KIND.metric("spearman", ()).score(KIND.answers(OUTPUTS, asked), KIND.right(asked)) == 1
    assert KIND.agreement(OUTPUTS, OUTPUTS) == 1
