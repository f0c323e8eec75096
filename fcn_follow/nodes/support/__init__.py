"""Shared by the nodes: parameters, spinning, status, watches, sources of images."""
