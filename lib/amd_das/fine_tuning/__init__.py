"""Learning from corrections: fine-tune the model in use on labelled CT, and publish what is not worse."""
