"""What is logged, and what must not be."""
