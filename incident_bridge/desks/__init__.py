"""Desks: the ITSM systems that hold the tickets."""
