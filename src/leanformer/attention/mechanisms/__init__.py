"""Every mechanism that is no pattern."""

from leanformer.attention.mechanisms.clustered import Clustered
from leanformer.attention.mechanisms.improved_clustered import ImprovedClustered
from leanformer.attention.mechanisms.linear import Linear
from leanformer.attention.mechanisms.linformer import Linformer
from leanformer.attention.mechanisms.lsh import LSH
from leanformer.attention.mechanisms.nystrom import Nystrom
from leanformer.attention.mechanisms.performer import Performer
from leanformer.attention.mechanisms.performer_relu import PerformerRelu
from leanformer.attention.mechanisms.routing import Routing
from leanformer.attention.mechanisms.sinkhorn import Sinkhorn
from leanformer.attention.mechanisms.synthesizer import Synthesizer

__all__ = [
    "LSH",
    "Clustered",
    "ImprovedClustered",
    "Linear",
    "Linformer",
    "Nystrom",
    "Performer",
    "PerformerRelu",
    "Routing",
    "Sinkhorn",
    "Synthesizer",
]
