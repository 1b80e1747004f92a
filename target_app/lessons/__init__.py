"""Twenty lessons on `def` and `async def`: for each claim a route that does it wrong, and one that does it right."""
