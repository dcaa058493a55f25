"""Which texts a cheap system answers itself: gate scores, the threshold, and its drift."""

from leanformer.measure.gates.reliability import fit_reliability
from leanformer.measure.gates.threshold import RATES, Deferral, Gated, choose_threshold
from leanformer.runtime.gates import Gate, find_gate

__all__ = ["RATES", "Deferral", "Gate", "Gated", "choose_threshold", "find_gate", "fit_reliability"]
