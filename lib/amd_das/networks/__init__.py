"""The networks of both stages. They know of tensors only: no data, no losses, no training."""
