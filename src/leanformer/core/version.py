"""The version of leanformer, which records and folders carry."""

__version__ = "0.1.0"
