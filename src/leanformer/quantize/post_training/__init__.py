"""int8 scales for a trained model without training: found on a hundred or so texts of its task.

    range of each input → clip it → move outliers into weights → insert rounding → correct the mean

In files: `calibrate.ranges` → `clipping` → `smoothquant`, `smoothquant_search` →
`query_key_grids`, `insert_fake_quant` → `bias_correction`; and `float_layers`, where int8 loses
too much.
"""
