"""Where cases lie on disk: labelled MRI and unlabelled CT, folder by folder."""
