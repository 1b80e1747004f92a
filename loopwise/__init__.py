"""Loopwise: should this FastAPI endpoint be `def` or `async def`, and with how many workers?"""

__version__ = "0.1.0"
