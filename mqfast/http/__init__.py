"""REST, metrics, events and the dashboard over HTTP. Knows the engine through its command table and execute()."""
