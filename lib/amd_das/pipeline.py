"""Prepare → match → synthesis → translate → segmentation → publish: a segmenter from labelled MRI and unlabelled CT."""
