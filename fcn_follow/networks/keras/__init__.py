"""Keras in PyTorch: its layers, its graphs of layers, its weights files."""
