"""What a run hands over: data sets and checkpoints in the shapes that others open, with cards."""
