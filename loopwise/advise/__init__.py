"""What to change about an app's endpoints: each change is measured before anybody makes it."""
