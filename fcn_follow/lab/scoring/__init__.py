"""The Follow-Me score, the honest figures beside it, and their reports."""
