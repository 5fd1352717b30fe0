"""``/dashboard``: models, trainings, worklist, agreement and the server's state, in a browser."""
