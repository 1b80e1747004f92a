"""The measured side: how servers are started, watched and stopped."""
