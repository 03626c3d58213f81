"""LSTM frame prediction."""
