"""Every mechanism that is no pattern."""

from leanformer.attention.mechanisms.clustered import Clustered
from leanformer.attention.mechanisms.improved_clustered import ImprovedClustered
from leanformer.attention.mechanisms.linformer import Linformer
from leanformer.attention.mechanisms.nystrom import Nystrom
from leanformer.attention.mechanisms.sinkhorn import Sinkhorn
from leanformer.attention.mechanisms.synthesizer import Synthesizer

__all__ = ["Clustered", "ImprovedClustered", "Linformer", "Nystrom", "Sinkhorn", "Synthesizer"]
