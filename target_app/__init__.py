"""The FastAPI app that is measured: `target_app.app:create_app()`, described by `python -m target_app`."""
