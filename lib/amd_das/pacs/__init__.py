"""A PACS: series by DICOMweb, kept for a while, and results back into it."""
