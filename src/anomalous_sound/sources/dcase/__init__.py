"""What the organisers of the DCASE challenges' Task 2 have published beside the sound."""
