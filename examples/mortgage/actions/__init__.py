"""What the mortgage desk does: send applications, take decisions in."""
