"""The losses of both stages: functions of tensors, each with its equation in the paper."""
