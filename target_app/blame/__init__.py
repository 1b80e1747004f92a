"""Put in front of an app for a blame pass; copied as a whole and under another name, so imports are relative."""
