"""Several runs side by side: scores with intervals, what changed class by class, learning curves, cost."""
