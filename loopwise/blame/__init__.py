"""Names the lines that block the event loop, in an untimed pass of its own."""
