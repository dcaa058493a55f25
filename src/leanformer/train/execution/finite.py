"""What ends a training whose numbers are not finite, and what the message says to do about it.

    loss, gradient      checked in every step, before the weights move
    weights             checked before an evaluation, before a checkpoint, and at the end

One NaN in a gradient is a NaN in every weight once gradients are clipped, and a checkpoint of such
weights would make every rerun fail. fp16 is the exception: there a gradient overflows now and then,
the step is left out and the loss scale is halved. Only a scale that has fallen to nothing ends the
training.
"""

from pathlib import Path

from leanformer.train.setup import TrainSetup


class NotFinite(ValueError):
    """Numbers of a training are not finite; the message says which."""


def ended_by(what: str, setup: TrainSetup, folder: Path | None) -> ValueError:
    """The error that ends a training.

    Args:
        what: In which step, and what is not finite.
        setup: Whose settings may help.
        folder: Where checkpoints are; None = there are none.
    """
    ways = [f"lower learning_rate ({setup.optimizer.learning_rate:g})"]
    if setup.max_grad_norm:
        ways.append(f"lower max_grad_norm ({setup.max_grad_norm:g})")
    else:
        ways.append("set max_grad_norm = 1")
    if setup.precision != "fp32":
        ways.append("set precision = 'fp32'")
    anew = ""
    if folder is not None and folder.is_dir():
        anew = (
            f". The last checkpoint, {folder}, goes on with the same settings alone: a recipe "
            "begins a changed step anew, and elsewhere remove that folder first"
        )
    return ValueError(f"{what}; {', '.join(ways[:-1])} or {ways[-1]}{anew}")
