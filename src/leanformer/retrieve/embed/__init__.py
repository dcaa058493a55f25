"""Texts to vectors: open any embedding model, and embed files of any size."""

from leanformer.retrieve.embed.encoder import Encoder, open_encoder

__all__ = ["Encoder", "open_encoder"]
