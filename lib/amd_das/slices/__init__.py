"""The slices of a domain on disk: written once from volumes, read memory-mapped by everything that trains."""
