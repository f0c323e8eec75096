"""Offline work: data, training, scoring, recordings, export and benchmarks. Nothing here flies."""
