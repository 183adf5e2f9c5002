"""The data layer: the only place that knows SQL. See docs/store.md."""
