"""Programs around the platform: outside systems, and the demo that drives them."""
