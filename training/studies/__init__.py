"""Measurements of the method itself: tables of the papers, memory and time."""
