"""The plain way: the same job with librosa, a DataLoader and nn.LSTM, as one would write it."""
