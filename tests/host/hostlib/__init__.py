"""A real VMBus host from distribution packages, and what tests need to drive a guest on it."""
