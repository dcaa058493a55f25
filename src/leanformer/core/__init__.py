"""Layer 0: how a technique, a step, a proof and a record are written down."""
