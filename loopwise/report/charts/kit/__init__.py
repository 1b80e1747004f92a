"""Drawing parts that charts share."""
