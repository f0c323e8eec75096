"""The embedded simulator: world, people, drone, camera and flights."""
