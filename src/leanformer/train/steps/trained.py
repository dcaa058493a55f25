"""Training as the body of a step: evaluate, fit, evaluate again, and prove that it helped."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from leanformer.core.proof import Proof, require
from leanformer.core.step import Step
from leanformer.core.workspace import Workspace
from leanformer.data import Encoded
from leanformer.train.batches import Batches
from leanformer.train.loop import fit
from leanformer.train.loss import Loss
from leanformer.train.progress import recorder
from leanformer.train.setup import TrainSetup
from leanformer.train.state import Fitted


class Training(Step):
    """A step that trains the model by the one loop; other steps may be built around it.

    Attributes:
        train: How to train.
        max_length: Longer texts are cut to this many tokens.
        load_best_at_end: Whether the model ends with the weights of the best evaluation, or with
            the last ones.
        require_improvement: Whether the step fails when the model ends no better than it began.
    """

    train: TrainSetup
    max_length: int
    load_best_at_end: bool
    require_improvement: bool


_SHARE = 10  # the loss is proved on a tenth of the steps at either end


def train_and_prove(
    workspace: Workspace,
    encoded: Encoded | Batches,
    loss: Loss,
    setup: TrainSetup,
    evaluate: Callable[[nn.Module], float],
    *,
    max_length: int,
    load_best_at_end: bool = True,
    require_improvement: bool = True,
    read: str = "",
    judged_by: str = "",
) -> Workspace:
    """Train the model of the workspace and attach the proofs.

    Args:
        workspace: Its model is trained in place; checkpoints go to its folder.
        encoded: The training examples, or batches of one's own.
        loss: What is minimized.
        setup: Hyperparameters.
        evaluate: Quality on the development split.
        max_length: What longer texts were cut to, for the proof.
        load_best_at_end: Keep the weights of the best evaluation. False keeps the last ones, for
            trainings whose effect the quality does not show yet; the proof is then that the loss
            fell.
        require_improvement: Fail if the quality did not rise, or with the last weights if the loss
            did not fall.
        read: What was read, for the proof; "" = the texts, and how many were cut. Batches of one's
            own say it themselves.
        judged_by: Name of the quality that `evaluate` gives; "" = the metric of the task.

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
        evaluate=evaluate if load_best_at_end or setup.evaluations else None,
        keep_best=load_best_at_end,
        folder=workspace.folder / "checkpoint",
        hooks=[recorder(workspace)],
        seed=workspace.seed,
    )
    after = _ended(fitted, evaluate, workspace.model, load_best_at_end)
    task = workspace.dataset.task
    (name, was), (_, now) = (
        (judged_by, value) if judged_by else task.about.shown(task.metric, value)
        for value in (before, after)
    )
    if isinstance(encoded, Encoded):
        read = read or f"{len(encoded)} texts, {encoded.truncated} cut to {max_length} tokens"
    quality = Proof(
        claim=f"{name} on dev",
        before=was,
        after=now,
        unit="",
        ok=True,
        note=read,
    )
    if load_best_at_end:
        proofs = [replace(quality, ok=not after <= before or not require_improvement)]
    else:
        loss_fell = prove_loss_fell(fitted.losses)
        proofs = [quality, replace(loss_fell, ok=loss_fell.ok or not require_improvement)]
    return workspace.with_(proofs=tuple(require(proofs)))


def _ended(
    fitted: Fitted, evaluate: Callable[[nn.Module], float], model: nn.Module, best: bool
) -> float:
    """The quality of the weights that a training ended with, evaluated only once."""
    if best:
        assert fitted.best is not None
        return fitted.best
    if fitted.qualities and fitted.qualities[-1][0] == fitted.steps:
        return fitted.qualities[-1][1]
    return evaluate(model)


def prove_loss_fell(losses: Sequence[float]) -> Proof:
    """Prove that the loss fell from the first tenth of the steps to the last."""
    part = max(1, len(losses) // _SHARE)
    first, last = sum(losses[:part]) / part, sum(losses[-part:]) / part
    return Proof(claim="training loss", before=first, after=last, unit="", ok=last < first)
