"""Trainings as processes, and as MONAI Label's train tasks."""
