"""The segmentation networks, their registry and their weights files."""
