"""geocc.scene."""
