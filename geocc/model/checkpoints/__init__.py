"""Weights of other layouts, brought into geocc's own."""
