"""Names the lines that hold the event loop, in an untimed pass of its own."""
