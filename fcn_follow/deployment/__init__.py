"""Choosing, measuring and exporting engines (floor 3)."""
