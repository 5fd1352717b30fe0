"""The matching mechanism: which MRI slices and CT slices look alike (section 3.1.4)."""
