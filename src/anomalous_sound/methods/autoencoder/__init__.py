"""The DCASE 2020 Task 2 baseline's dense autoencoder."""
