"""What the trainers of both stages stand on: engine, checkpoints, progress, processes."""
