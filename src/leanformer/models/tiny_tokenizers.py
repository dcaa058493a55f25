"""Tokenizers for the tiny models: WordPiece, byte-level BPE, Unigram. Built in code."""

import json
from typing import Any

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertTokenizer,
    DebertaV2Tokenizer,
    GPT2Tokenizer,
    MPNetTokenizer,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    XLMRobertaTokenizer,
)

TEXTS = (
    "the quick brown fox jumps over the lazy dog",
    "a small model answers before the large one has begun",
    "please book a table for two people tomorrow evening",
    "what is the weather like in the mountains today",
    "play some quiet music and turn the lights down",
    "my card was charged twice and i want the money back",
    "the film was slow, but the acting was wonderful!",
    "how many calories are there in a bowl of rice?",
)
_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_MPNET = ("<s>", "<pad>", "</s>", "[UNK]", "<mask>")
_XLM = ("<s>", "<pad>", "</s>", "<unk>")
_DEBERTA = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
_WORDPIECES = ("##s", "##ing", "##ed", "##er", "##ly", "un", "##able", "jump", "light", "answer")


def tiny_tokenizer(family: str) -> Any:
    """The tokenizer of a family's tiny model; it encodes any English text."""
    if family in ("bert", "distilbert", "electra"):
        return BertTokenizer(vocab=_wordpiece(), model_max_length=64)
    if family == "mpnet":
        return MPNetTokenizer(vocab=_wordpiece(_MPNET), model_max_length=64)
    if family == "xlm-roberta":
        return XLMRobertaTokenizer(vocab=_unigram(), model_max_length=64)
    if family == "deberta-v2":
        return DebertaV2Tokenizer(vocab=_unigram(_DEBERTA, "[MASK]"), model_max_length=64, unk_id=3)
    vocabulary, merges = _byte_level()
    if family == "roberta":
        return RobertaTokenizer(vocab=vocabulary, merges=merges, model_max_length=64)
    if family == "gpt2":
        return GPT2Tokenizer(
            vocab=vocabulary,
            merges=merges,
            bos_token="</s>",
            eos_token="</s>",
            unk_token="</s>",
            pad_token="<pad>",
            model_max_length=64,
        )
    return _from_backend(family, vocabulary, merges)


def _characters() -> list[str]:
    return sorted({*"".join(TEXTS), *"abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"} - {" "})


def _words() -> list[str]:
    return sorted({word.strip(",!?") for text in TEXTS for word in text.split()})


def _wordpiece(special: tuple[str, ...] = _BERT) -> dict[str, int]:
    characters = _characters()
    continued = [f"##{character}" for character in characters]
    pieces = [*special, *characters, *continued, *_WORDPIECES, *_words()]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def _unigram(special: tuple[str, ...] = _XLM, mask: str = "<mask>") -> list[tuple[str, float]]:
    """Pieces with log probabilities that fall with length more slowly than spelling out would."""
    pieces = ["▁", *_characters(), *[f"▁{word}" for word in _words()], "ing", "er", "the", "ly"]
    scored = [(piece, -4.0 - len(piece) / 3) for piece in dict.fromkeys(pieces)]
    return [*[(piece, 0.0) for piece in special], *scored, (mask, 0.0)]


def _byte_level() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A byte-level BPE trained on TEXTS, with the special tokens of RoBERTa in front."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def _from_backend(family: str, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    """ModernBERT's and Llama's: byte-level BPE with a template around the text."""
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    encoder = family == "modernbert"
    ends = [("<s>", vocabulary["<s>"]), ("</s>", vocabulary["</s>"])]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>" if encoder else "<s> $A",
        pair="<s> $A </s> $B </s>" if encoder else "<s> $A $B",
        special_tokens=ends if encoder else ends[:1],
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    if encoder:
        names |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)
