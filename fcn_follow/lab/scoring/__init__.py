"""The Follow-Me score, the figures of detection beside it, and their reports."""
