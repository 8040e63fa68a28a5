"""geocc: what changed between two dates, in words and on a map."""
