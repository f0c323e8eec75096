"""Let a drone follow one person: segmentation, position, velocity commands, and the tools around them."""

__version__ = "0.1.0"
