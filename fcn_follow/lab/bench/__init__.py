"""Benchmarks of engines and of scoring, and their tables in docs/performance.md."""
