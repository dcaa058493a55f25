"""Training as the body of a step: judge, fit, judge again, and prove that it helped."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from torch import nn

from leanformer.core.proof import Proof, require
from leanformer.core.step import Step
from leanformer.core.workspace import Workspace
from leanformer.data import Encoded
from leanformer.train.loop import fit
from leanformer.train.loss import Loss
from leanformer.train.progress import recorder
from leanformer.train.setup import TrainSetup
from leanformer.train.state import Fitted

Choice = Literal["best", "last"]


class Training(Step):
    """A step that trains the model by the one loop; other steps may be built around it.

    Attributes:
        train: How to train.
        max_length: Longer texts are cut to this many tokens.
        choose: Which weights the model ends with.
        regain: Whether it fails when the model ends no better than it began.
    """

    train: TrainSetup
    max_length: int
    choose: Choice
    regain: bool


_SHARE = 10  # the loss is proved on a tenth of the steps at either end


def trained(
    workspace: Workspace,
    encoded: Encoded,
    loss: Loss,
    setup: TrainSetup,
    evaluate: Callable[[nn.Module], float],
    *,
    max_length: int,
    choose: Choice = "best",
    needed: bool = True,
) -> Workspace:
    """The workspace with its model trained, and the proofs.

    Args:
        workspace: Its model is trained in place; checkpoints go to its folder.
        encoded: The training examples.
        loss: What is minimized.
        setup: Hyperparameters.
        evaluate: Quality on the development split.
        max_length: What longer texts were cut to, for the proof.
        choose: Keep the weights of the best evaluation; or the last ones, where what is learnt does
            not show in the quality yet: then the loss must have fallen.
        needed: Fail where the quality did not grow, or with the last weights the loss not fall.

    Raises:
        ValueError: The loss is not finite, or the checkpoint is broken.
        NoEffect: The training did not help.
    """
    before = evaluate(workspace.model)
    fitted = fit(
        workspace.model,
        encoded,
        loss,
        setup,
        evaluate=evaluate if choose == "best" or setup.evaluations else None,
        keep_best=choose == "best",
        folder=workspace.folder / "checkpoint",
        hooks=[recorder(workspace)],
        seed=workspace.seed,
    )
    quality = Proof(
        claim=f"{workspace.dataset.task.metric} on dev",
        before=before,
        after=_ended(fitted, evaluate, workspace.model, choose),
        unit="",
        ok=True,
        note=f"{len(encoded)} texts, {encoded.truncated} cut to {max_length} tokens",
    )
    if choose == "best":
        proofs = [replace(quality, ok=quality.after > before or not needed)]
    else:
        loss_fell = fallen(fitted.losses)
        proofs = [quality, replace(loss_fell, ok=loss_fell.ok or not needed)]
    return workspace.with_(proofs=tuple(require(proofs)))


def _ended(
    fitted: Fitted, evaluate: Callable[[nn.Module], float], model: nn.Module, choose: Choice
) -> float:
    """The quality of the weights that a training ended with, asked for once."""
    if choose == "best":
        assert fitted.best is not None
        return fitted.best
    if fitted.qualities and fitted.qualities[-1][0] == fitted.steps:
        return fitted.qualities[-1][1]
    return evaluate(model)


def fallen(losses: Sequence[float]) -> Proof:
    """The proof that the loss fell from the first tenth of the steps to the last."""
    part = max(1, len(losses) // _SHARE)
    first, last = sum(losses[:part]) / part, sum(losses[-part:]) / part
    return Proof(claim="training loss", before=first, after=last, unit="", ok=last < first)
