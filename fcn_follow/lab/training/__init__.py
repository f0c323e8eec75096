"""Training loops, losses and recipes."""
