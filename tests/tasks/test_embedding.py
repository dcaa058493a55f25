import numpy as np

from leanformer.tasks import Asked, Embedding

KIND = Embedding()
OUTPUTS = [np.array([1.0, 0.0], np.float32), np.array([0.0, 2.0], np.float32)]


def test_the_right_vectors_are_the_teachers() -> None:
    asked = Asked(vectors=np.array([[2.0, 0], [3, 0]], np.float32))
    assert KIND.answers(OUTPUTS, asked).shape == (2, 2)
    assert KIND.metric("cosine", ()).score(KIND.answers(OUTPUTS, asked), KIND.right(asked)) == 0.5
    assert KIND.agreement(OUTPUTS, OUTPUTS) == 1
    assert KIND.serve(OUTPUTS, (), [], [])[1].tolist() == [0, 2]
