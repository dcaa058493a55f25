"""What there is to round weights with."""

from leanformer.quantize.quantizers.gptq import Gptq
from leanformer.quantize.quantizers.ternary import Ternary
from leanformer.quantize.quantizers.ternary_loss_aware import TernaryLossAware
from leanformer.quantize.quantizers.uniform import Uniform

__all__ = ["Gptq", "Ternary", "TernaryLossAware", "Uniform"]
