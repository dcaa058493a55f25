"""The hyperparameters of a training, one frozen object for every kind of training."""

from dataclasses import InitVar, dataclass, field, replace
from typing import Any, Literal

from leanformer.core.ranges import Count, Index, NotNegative, PartialShare, Positive, ranged
from leanformer.train.batches import Duration
from leanformer.train.memory.interface import MemorySaver
from leanformer.train.optimizers import AdamW
from leanformer.train.optimizers.batch_scaling import scaled_rate
from leanformer.train.optimizers.interface import Optimizer
from leanformer.train.parallel import Parallel
from leanformer.train.schedules import LinearDecay
from leanformer.train.schedules.interface import LearningRateSchedule


@dataclass(frozen=True, kw_only=True)
@ranged
class TrainSetup:
    """How to train; what is learnt is decided by the loss.

    `TrainSetup(learning_rate=1e-4)` is short for `TrainSetup(optimizer=AdamW(learning_rate=1e-4))`,
    and `replace(setup, learning_rate=1e-4)` changes the rate of whichever optimizer it has.

    Raises:
        ValueError: A field is out of its range.
    """

    epochs: Positive = 3.0
    """Passes over the training examples; may be a fraction."""
    steps: Count | None = None
    """Optimizer steps, in place of `epochs`."""
    tokens: Count | None = None
    """Real tokens that the model reads, in place of `epochs`; the last batch is read whole."""
    batch_size: Count = 32
    """Examples per optimizer step."""
    base_batch_size: Count | None = None
    """Batch size that the learning rate was chosen for. The optimizer's rule scales the rate from
    there to `batch_size`: in proportion to it for SGD, to its square root for AdamW, LAMB and LARS.
    None = the rate as it is."""
    max_tokens_per_microbatch: Count = 16384
    """Padded tokens that pass through the model at once; the gradients of a larger batch are
    accumulated over parts of it."""
    optimizer: Optimizer = field(default_factory=AdamW)
    """How gradients move the weights, with the peak learning rate and the weight decay."""
    schedule: LearningRateSchedule = field(default_factory=LinearDecay)
    """How the learning rate rises and falls over the training."""
    max_grad_norm: NotNegative = 1.0
    """Largest norm of the gradient; 0 = no clipping."""
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    """Autocast precision of forward and backward; weights and optimizer stay fp32. On a CPU or GPU
    without bf16 products bf16 is run as fp32, which is many times as fast there."""
    evaluations: Index = 0
    """Evaluations on the development split spread over the training; 0 = one per epoch, or
    none where the last weights are kept."""
    early_stopping_patience: Index = 0
    """Stop after so many evaluations without a new best; 0 = never."""
    start_fraction: PartialShare = 0.0
    """Share of the steps that counts as done: schedule and order of the data begin there."""
    freeze_embeddings: bool = False
    """Leave embeddings, and heads tied to them, as they are; a step costs less then."""
    compile: bool = False
    """Compile the forward and backward pass with `torch.compile`. It pays in long trainings on a
    GPU; it takes minutes at first, and needs a C++ compiler on a CPU and Triton on a GPU. The
    optimizer step stays as it is: a fused kernel. Not with objectives that compare attention."""
    memory: tuple[MemorySaver, ...] = ()
    """How to train in less memory; `leanformer list` shows what there is."""
    parallel: Parallel = field(default_factory=Parallel)
    """How the training is shared out among the processes that `torchrun` started."""
    checkpoint_seconds: NotNegative = 60.0
    """Least time between two checkpoints."""
    learning_rate: InitVar[float | None] = None
    """The peak learning rate of `optimizer`, given here for short; it is read there."""

    def __post_init__(self, learning_rate: float | None) -> None:
        if learning_rate is not None:
            chosen: Any = self.optimizer
            chosen = replace(chosen, learning_rate=learning_rate)
            object.__setattr__(self, "optimizer", chosen)
        if self.steps is not None and self.tokens is not None:
            raise ValueError("steps, tokens: both say how long to train; set one of the two")

    def scaled(self) -> "TrainSetup":
        """This setup with its learning rate brought from `base_batch_size` to `batch_size`."""
        if self.base_batch_size is None:
            return self
        optimizer: Any = self.optimizer
        sizes = self.batch_size, self.base_batch_size
        rate = scaled_rate(optimizer.batch_scaling, optimizer.learning_rate, *sizes)
        scaled = replace(optimizer, learning_rate=rate)
        return replace(self, optimizer=scaled, base_batch_size=None)

    @property
    def duration(self) -> Duration:
        """How long to train: `steps` or `tokens` where one is set, else `epochs`."""
        if self.steps is not None:
            return Duration(self.steps, "step")
        return Duration(self.epochs) if self.tokens is None else Duration(self.tokens, "token")
