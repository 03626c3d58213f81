"""A Dataset of windows, a DataLoader, two modules and the usual loop."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

WINDOW = 10


class Windows(Dataset):
    """Windows of 10 frames and their next one, stride 1, of clips scaled to [0, 1]."""

    def __init__(self, clips: list[np.ndarray]):
        self.clips = [torch.from_numpy(clip) for clip in clips]
        self.index = [
            (number, start)
            for number, clip in enumerate(clips)
            for start in range(len(clip) - WINDOW)
        ]

    def __len__(self):
        return len(self.index)

    def __getitem__(self, number):
        clip, start = self.index[number]
        frames = self.clips[clip]
        return frames[start : start + WINDOW], frames[start + WINDOW]


class LstmPredictor(nn.Module):
    def __init__(self, n_mels=128, hidden_size=256):
        super().__init__()
        self.lstm = nn.LSTM(n_mels, hidden_size, num_layers=2, batch_first=True)
        self.output = nn.Linear(hidden_size, n_mels)

    def forward(self, window):
        states, _ = self.lstm(window)
        return self.output(states[:, -1])

    def errors(self, window, next_frame):
        return (self(window) - next_frame).square().mean(dim=1)


class GruAutoencoder(nn.Module):
    def __init__(self, n_mels=128, hidden_size=256):
        super().__init__()
        self.encoder = nn.GRU(n_mels, hidden_size, num_layers=2, batch_first=True)
        self.decoder = nn.GRU(hidden_size, hidden_size, num_layers=2, batch_first=True)
        self.output = nn.Linear(hidden_size, n_mels)

    def forward(self, window):
        states, _ = self.encoder(window)
        decoded, _ = self.decoder(states)
        return self.output(decoded)

    def errors(self, window, next_frame):
        return (self(window) - window).square().mean(dim=(1, 2))


MODELS = {"lstm": LstmPredictor, "gru": GruAutoencoder}
BATCH_SIZES = {"lstm": 32, "gru": 64}


def train(model, training_clips, validation_clips, *, batch_size, epochs=10, learning_rate=1e-3):
    """Train with Adam on the mean squared error; return the validation loss of each epoch."""
    training = DataLoader(Windows(training_clips), batch_size=batch_size, shuffle=True)
    validation = DataLoader(Windows(validation_clips), batch_size=batch_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    history = []
    for _ in range(epochs):
        model.train()
        for window, next_frame in training:
            optimizer.zero_grad()
            loss = model.errors(window, next_frame).mean()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            losses = torch.cat([model.errors(*batch) for batch in validation])
        history.append(losses.mean().item())
    return history
