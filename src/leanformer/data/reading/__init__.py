"""From rows to examples: columns, words, queries, and what is told from them."""
