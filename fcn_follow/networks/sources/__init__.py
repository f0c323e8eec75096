"""The systems of the source texts, each as its source describes it."""
