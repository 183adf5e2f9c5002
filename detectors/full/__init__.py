"""The full tier: many views of one series, each asked how rare this sample is. Pure NumPy over rows."""
