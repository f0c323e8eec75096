"""Frames, masks and depth: reading, splitting, augmentation, the copy in memory."""
