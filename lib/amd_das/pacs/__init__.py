"""Series from a PACS and results back to it: DICOMweb, a DICOM listener, and the jobs in between."""
