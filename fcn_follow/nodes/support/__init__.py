"""What the nodes share: parameters, spinning, status, watches, sources of images."""
