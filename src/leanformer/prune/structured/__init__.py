"""What `shrink` decides with: which layers, how many units per layer, and the proof."""
