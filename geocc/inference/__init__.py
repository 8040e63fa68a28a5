"""Captioners, and how batches of tiles reach them."""
