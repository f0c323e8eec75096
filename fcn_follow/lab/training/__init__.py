"""Training loops, losses and recipes (floor 3)."""
