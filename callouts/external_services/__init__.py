"""External services: an OpenAPI document becomes typed operations, with answers that may come back later."""
