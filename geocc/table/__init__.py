"""geocc.table."""
