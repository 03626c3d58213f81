"""GRU autoencoder."""
