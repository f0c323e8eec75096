"""The training loop, losses and recipes."""
