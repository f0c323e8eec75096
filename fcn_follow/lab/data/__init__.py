"""Frames, masks and depth: read, split, augmented, held in memory."""
