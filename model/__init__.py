"""The words all stages share. Nothing here does I/O but `model.clock`."""
