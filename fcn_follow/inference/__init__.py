"""Fast inference: a network is traced, rewritten, and run by the fastest engine on this machine."""
