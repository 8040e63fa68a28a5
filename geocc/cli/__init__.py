"""geocc.cli."""
