"""A head phantom made from real anatomy: one subject, rendered as CT or as FLAIR MRI.

``anatomy`` draws a subject, ``lesions`` what may have happened to it, ``ct`` and ``flair`` render it, ``files`` writes
it. Everything is drawn from one seed: the same seed gives the same bytes.
"""
