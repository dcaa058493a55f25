"""What blocks of queries read: the example of the module's docstring, and the mask of a plan."""

import torch

from leanformer.attention.kernels.blocked import compress_plans, plan_blocks
from leanformer.attention.kernels.layout import Layout


def test_the_example_of_the_docstring() -> None:
    window = Layout(
        mask_mod=lambda query, key: ((query - key).abs() <= 1) | (key == 0),
        key_ranges=lambda first, last: [(first - 1, last + 1)],
        global_keys=(0,),
        block_size=4,
    )
    *_, plan = plan_blocks((window,), 12, False, torch.device("cpu"))
    assert (plan.first, plan.last, plan.blocks) == (8, 12, (1, 2))
    assert plan.global_keys.tolist() == [0]
    assert plan.mask is not None
    rows = ["...xxx..x", "....xxx.x", ".....xxxx", "......xxx"]
    assert plan.mask[0, 0].tolist() == [[one == "x" for one in row] for row in rows]


def test_masks_that_are_true_everywhere_are_left_out_of_kept_plans() -> None:
    whole = Layout(
        mask_mod=lambda query, key: query == query + 0 * key,
        key_ranges=lambda first, last: [(0, 8)],
        block_size=4,
    )
    plans = list(compress_plans(plan_blocks((whole,), 8, False, torch.device("cpu"))))
    assert [plan.mask for plan in plans] == [None, None]
