"""Dense LSTM frame prediction."""
