"""A segmenter from labelled MRI and unlabelled CT: prepare → match → synthesis → translate → segmentation → publish."""
