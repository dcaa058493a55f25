"""How a server shares out its cores."""

import pytest

from leanformer.serve.settings import Settings


@pytest.mark.parametrize(
    ("cores", "asked", "shares"),
    [
        (1, {}, (1, 1, 512)),
        (2, {}, (1, 2, 512)),
        (6, {}, (1, 4, 512)),
        (16, {}, (4, 4, 2048)),
        (16, {"threads": 8}, (8, 2, 4096)),
        (16, {"concurrency": 1}, (16, 1, 8192)),
        (2, {"threads": 4}, (4, 1, 2048)),
        (2, {"concurrency": 8, "batch_tokens": 100}, (1, 8, 100)),
    ],
)
def test_what_is_not_asked_for_follows_from_the_cores(cores, asked, shares):
    assert Settings(**asked).shares(cores) == shares
