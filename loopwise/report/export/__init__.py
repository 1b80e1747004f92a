"""Results and comparisons in the formats of other tools."""
