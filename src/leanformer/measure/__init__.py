"""Numbers with a unit: time, memory, size and work, and the machine that they belong to."""
