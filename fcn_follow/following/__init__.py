"""From the hero's position to a velocity command."""
