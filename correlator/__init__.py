"""Alerts and changes to incidents: deduplicate, silence, inhibit, group, find the cause."""
