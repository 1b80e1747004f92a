"""Pure functions from samples to conclusions."""
