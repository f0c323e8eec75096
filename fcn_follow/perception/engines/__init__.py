"""Engines: what runs a network. `engine.py` is their interface; one module holds each kind."""
