"""Rhythms that nobody configured: their periods are found, followed, missed when they stop, and given up."""
