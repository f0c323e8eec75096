"""From a camera frame to the hero's position: frame -> labels -> hero -> position."""
