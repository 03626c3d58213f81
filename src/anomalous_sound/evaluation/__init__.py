"""What labels say about scores and decisions: metrics, comparison, baselines."""
