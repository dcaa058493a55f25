from runtime_samples import classifier, texts

__all__ = ["classifier", "texts"]
