"""geocc.model."""
