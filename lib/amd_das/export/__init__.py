"""A published version in the formats of other software: MONAI Bundle and ONNX."""
