"""Frames, masks, splits and augmentation (floor 1)."""
