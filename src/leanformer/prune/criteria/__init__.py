"""What matters: criteria that score heads and neurons (`units`) or single weights (`weights`)."""
