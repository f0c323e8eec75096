"""What scripts/follow starts: the nodes as processes, a live status, a recording."""
