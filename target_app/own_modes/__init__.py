"""Put in front of an app to serve an endpoint in another mode; copied as a whole and under another name."""
