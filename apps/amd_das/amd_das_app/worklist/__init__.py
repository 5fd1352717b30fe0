"""Which scan is looked at next, by whom, and what the model thinks of each."""
