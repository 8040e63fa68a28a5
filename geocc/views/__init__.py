"""geocc.views."""
