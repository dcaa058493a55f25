"""What stands in the way of the targets of `rivals.py` that were missed."""

_PLAIN_RULE = (
    "the rival's threshold is chosen by the plain rule, which proves nothing and passes fewer "
    "texts on; 545 dev texts prove less than that."
)
_SST2 = (
    "n-grams are unsure of a third of these sentences, and no student ended in time that was worth "
    "putting behind them; the rival's threshold is chosen by the plain rule, which proves nothing."
)
_AMX = (
    "with AMX the int8 teacher answers three to four times as many texts per second as without "
    "VNNI, and n-grams are no faster, so that less is to be gained. "
)
STANDS: dict[tuple[str, float], str] = {
    ("banking77", 0.99): _AMX
    + (
        "A student of 4 layers behind the n-grams would keep 99.1 % with 2.5 % of the texts passed "
        "on, by estimate; 1,000 dev texts do not prove that."
    ),
    ("banking77", 0.97): _AMX
    + (
        "1,000 dev texts leave n-grams alone 0.5 % short of the proof (the test split measures "
        "98.8 %), so one text in a hundred is passed on, at over a hundred times the cost; the "
        "doubt that a student shares would cost what it saves."
    ),
    ("ag-news", 0.99): _AMX
    + (
        "A student of 4 layers, trained for 1.5 of 13 epochs in the time that was left, is proven "
        "behind the n-grams with 25 % of the texts passed on, which takes longer than the teacher "
        "with 14 %."
    ),
    ("ag-news", 0.97): _AMX
    + "The student behind the n-grams has 4 layers; no time was left for a smaller one.",
    ("trec", 0.99): (
        "545 dev texts do not prove a cascade while the doubt is shared with two students; the "
        "plain rule, which proves nothing, picks one and test happens to agree."
    ),
    ("trec", 0.97): _PLAIN_RULE,
    ("trec", 0.95): "the rival keeps 95 % on test; on 545 dev texts that was not to be proven.",
    ("sst2", 0.99): _SST2,
    ("sst2", 0.97): _SST2,
    ("sst2", 0.95): _SST2,
    ("stsb", 0.97): (
        "numbers for pairs have no gate, so no cascade helps; the first student that was tried "
        "kept enough, and no time was left for a smaller one."
    ),
}
"""What stands in the way of each target that was missed, by set and keep."""
