"""A PACS as the studies, and what is stored in it."""
