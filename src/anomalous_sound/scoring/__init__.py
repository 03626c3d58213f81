"""From a trained network to the errors of each window and the anomaly score of each clip."""
