"""geocc.data."""
