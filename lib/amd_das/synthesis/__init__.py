"""Stage 1: the synthesis network learns to turn an MRI into a pseudo-CT and keeps the lesion (section 3.1)."""
