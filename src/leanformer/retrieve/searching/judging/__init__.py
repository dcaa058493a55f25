"""How good a search is: judgments, runs, and the metrics of one by the other."""
