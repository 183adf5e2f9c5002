"""The light tier: every plain gauge and counter rate of the site, at a few nanoseconds a sample."""
