"""Texts to vectors: open any embedding model, and embed files of any size."""

from leanformer.retrieve.embed.encoder import Encoder, open_encoder
from leanformer.retrieve.embed.files import embed_files
from leanformer.retrieve.embed.stored import Embeddings, read_embeddings

__all__ = ["Embeddings", "Encoder", "embed_files", "open_encoder", "read_embeddings"]
