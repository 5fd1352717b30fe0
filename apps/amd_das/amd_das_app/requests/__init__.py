"""What comes in: its checks, its names, its files."""
