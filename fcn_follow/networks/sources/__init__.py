"""The networks of the source texts, as their sources describe them."""
