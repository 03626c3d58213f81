import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly
from support import AUDIO_BOUNDS, noise

from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.corpus.decode import AudioFile, Recording, decode_recording, to_mono
from anomalous_sound.corpus.segments import Span
from anomalous_sound.errors import UnreadableClipError

RATE = 16000


def tone(hz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        (".wav", "PCM_16", 2**-15),
        (".wav", "PCM_24", 2**-23),
        (".wav", "PCM_32", 2**-23),
        (".wav", "FLOAT", 2**-23),
        (".wav", "DOUBLE", 2**-23),
        (".wav", "PCM_U8", 2**-7),
        (".flac", "PCM_16", 2**-15),
        (".flac", "PCM_24", 2**-23),
        (".aiff", "PCM_16", 2**-15),
        (".ogg", "VORBIS", 0.1),
    ],
)
def test_every_format_gives_the_samples(tmp_path, suffix, subtype, tolerance):
    path = tmp_path / f"clip{suffix}"
    written = np.stack([tone(440, RATE), tone(880, RATE)], axis=1)
    soundfile.write(path, written, RATE, subtype=subtype)
    recording = AudioFile(path).recording()
    assert (recording.channels, recording.sample_rate) == (2, RATE)
    assert recording.duration_s == pytest.approx(1.0)
    np.testing.assert_allclose(recording.samples, written, atol=tolerance)


def _wav(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, tone(440, RATE), RATE)
    return path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda whole: b"", "empty"),
        (lambda whole: whole[: len(whole) // 2], "truncated: its header promises 32000 bytes"),
        (lambda whole: whole[:20], "truncated: its wav header ends"),
        (lambda whole: b"this is a text, not a sound\n" * 9, "cannot be decoded"),
    ],
)
def test_a_broken_file_is_refused_with_its_reason(tmp_path, content, reason):
    path = _wav(tmp_path)
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(UnreadableClipError, match=reason):
        AudioFile(path).recording()


def test_a_truncated_flac_is_refused(tmp_path):
    path = tmp_path / "clip.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, RATE), RATE)
    path.write_bytes(path.read_bytes()[:8000])
    with pytest.raises(UnreadableClipError):
        AudioFile(path).recording()


def test_a_wav_of_a_streaming_writer_is_read(tmp_path):
    """Recorders that can't seek write a data size of 0xFFFFFFFF."""
    path = _wav(tmp_path)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(content))
    assert len(AudioFile(path).recording().samples) == RATE


CONTAINERS = {
    "wav": {"format": "WAV"},
    "extensible wav": {"format": "WAVEX"},
    "big-endian wav": {"format": "WAV", "endian": "BIG"},
    "RF64": {"format": "RF64"},
    "AIFF": {"format": "AIFF"},
    "AIFC": {"format": "AIFF", "subtype": "PCM_U8"},
    "Vorbis": {"format": "OGG"},
    "Opus": {"format": "OGG", "subtype": "OPUS"},
}


def _written(container, seconds=4.0):
    content = io.BytesIO()
    soundfile.write(content, noise(0, seconds=seconds), RATE, **CONTAINERS[container])
    return content.getvalue()


@pytest.mark.parametrize("seconds", [0.1, 4.0])
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_whole_file_of_each_container_is_read(container, seconds):
    assert len(decode_recording(_written(container, seconds)).samples) == RATE * seconds


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_truncated_file_of_each_container_is_refused(container, share):
    whole = _written(container)
    with pytest.raises(UnreadableClipError, match="the file is truncated"):
        decode_recording(whole[: int(share * len(whole))])


def test_an_ogg_that_ends_between_two_pages_is_refused():
    whole = _written("Vorbis")
    with pytest.raises(UnreadableClipError, match="truncated: the last page"):
        decode_recording(whole[: whole.rindex(b"OggS")])


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0x80000000, 0x7FFFF000])
@pytest.mark.parametrize("container", ["wav", "big-endian wav", "AIFF"])
def test_a_size_that_stands_for_unknown_is_no_promise(container, size):
    content = bytearray(_written(container))
    place = content.index(b"SSND" if container == "AIFF" else b"data") + 4
    content[place : place + 4] = size.to_bytes(4, "little" if container == "wav" else "big")
    assert len(decode_recording(bytes(content)).samples) == RATE * 4


def _recording(samples, rate=RATE):
    return Recording(np.asarray(samples, dtype=np.float32), rate)


def test_channel_and_mean():
    left, right = tone(440, RATE), tone(880, RATE)
    stereo = _recording(np.stack([left, right], axis=1))
    take = lambda channel: to_mono(stereo, sample_rate=RATE, channel=channel)  # noqa: E731
    np.testing.assert_allclose(take(0), left, atol=1e-6)
    np.testing.assert_allclose(take(1), right, atol=1e-6)
    np.testing.assert_allclose(take("mean"), (left + right) / 2, atol=1e-6)
    with pytest.raises(UnreadableClipError, match=r"no channel 2 .* it has 2"):
        take(2)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_a_tone(rate):
    mono = to_mono(_recording(tone(1000, rate)[:, None], rate), sample_rate=RATE, channel=0)
    assert len(mono) == RATE
    inside = slice(500, -500)  # the resampler's filter has no past at the ends
    np.testing.assert_allclose(mono[inside], tone(1000, RATE)[inside], atol=1e-3)


def test_resampling_does_not_alias():
    """A tone above the new Nyquist frequency vanishes; plain decimation would fold it back."""
    above = to_mono(_recording(tone(11000, 48000)[:, None], 48000), sample_rate=RATE, channel=0)
    assert np.abs(above[500:-500]).max() < 1e-3
    assert np.abs(tone(11000, 48000)[::3][500:-500]).max() > 0.4
    reference = resample_poly(tone(7000, 48000), 1, 3)
    below = to_mono(_recording(tone(7000, 48000)[:, None], 48000), sample_rate=RATE, channel=0)
    assert np.std(below) == pytest.approx(np.std(reference), rel=0.05)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros((0, 1)), "no samples"),
        (np.zeros((RATE, 1)), "all samples are zero"),
        (np.full((RATE, 1), 0.25), "the same value"),
        (np.r_[tone(440, RATE), np.nan][:, None], "NaN or infinite"),
        (np.r_[tone(440, RATE), -np.inf][:, None], "NaN or infinite"),
        (np.r_[tone(440, RATE), 1e25][:, None], "far beyond full scale"),
    ],
)
def test_a_clip_without_sound_is_refused(samples, reason):
    with pytest.raises(UnreadableClipError, match=reason):
        to_mono(_recording(samples), sample_rate=RATE, channel=0)


def test_a_clip_of_which_resampling_leaves_nothing_is_refused():
    few = np.array([[0.1], [0.2], [-0.1]])
    with pytest.raises(UnreadableClipError, match="3 samples at 1000000 Hz are none at 16000 Hz"):
        to_mono(_recording(few, 1_000_000), sample_rate=RATE, channel=0)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_samples_are_those_of_libsndfile(tmp_path, write_clip, subtype):
    path = write_clip(tmp_path / "a.wav", noise(0, channels=2), subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(AudioFile(path).recording().samples, expected)


def _wav_by_hand(samples, *, sample_rate=RATE, before=b"", promised=None, trailing=b""):
    """Write the header of a 16-bit stereo file by hand."""
    data = samples.astype("<i2").tobytes()
    size = len(data) if promised is None else promised
    form = struct.pack("<HHIIHH", 1, 2, sample_rate, 4 * sample_rate, 4, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + form + before
    chunks += b"data" + struct.pack("<I", size) + data + trailing
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


LIST_CHUNK = b"LIST" + struct.pack("<I", 7) + b"INFOabc\0"


@pytest.mark.parametrize(
    "unusual",
    [
        {},
        {"before": LIST_CHUNK},
        {"trailing": LIST_CHUNK},
        {"promised": 0xFFFFFFFF},  # by a writer who could not know
        {"sample_rate": 0},
    ],
)
@pytest.mark.parametrize("length", [0, 1, 1001])
def test_unusual_headers_are_read_as_libsndfile_does(unusual, length):
    samples = np.random.default_rng(3).integers(-(2**15), 2**15, (length, 2))
    content = _wav_by_hand(samples, **unusual)
    try:
        expected, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        with pytest.raises(UnreadableClipError, match="cannot be decoded"):
            decode_recording(content)
    else:
        recording = decode_recording(content)
        np.testing.assert_array_equal(recording.samples, expected)
        assert recording.sample_rate == rate


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".wav", {"subtype": "PCM_16"}),
        (".wav", {"subtype": "PCM_24"}),
        (".wav", {"subtype": "FLOAT"}),
        (".aiff", {}),
        (".flac", {}),
        (".ogg", {}),
        (".opus", {"format": "OGG", "subtype": "OPUS"}),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_part_has_the_samples_that_the_whole_file_has_there(tmp_path, suffix, options, channels):
    path = tmp_path / f"clip{suffix}"
    soundfile.write(path, noise(3, seconds=25.3, channels=channels), RATE, **options)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    file = AudioFile(path)
    assert (file.form().samples, file.form().sample_rate) == (len(expected), RATE)
    for start, stop in ((0, 160_000), (160_000, 320_000), (123_457, 283_457), (400_000, 404_800)):
        found = file.recording(Span(start, stop))
        np.testing.assert_array_equal(found.samples, expected[start:stop])


def test_a_part_of_an_mp3_is_the_same_to_rounding(tmp_path):
    soundfile.write(tmp_path / "clip.mp3", noise(3, seconds=25.0), RATE)
    expected, _ = soundfile.read(tmp_path / "clip.mp3", dtype="float32", always_2d=True)
    found = AudioFile(tmp_path / "clip.mp3").recording(Span(160_000, 320_000)).samples
    np.testing.assert_allclose(found, expected[160_000:320_000], atol=1e-6)


def test_a_part_beyond_the_end_is_refused(tmp_path):
    for suffix in (".wav", ".flac"):
        path = tmp_path / f"clip{suffix}"
        soundfile.write(path, noise(3), RATE)
        with pytest.raises(UnreadableClipError, match="holds"):
            AudioFile(path).recording(Span(8_000, 16_001))


def test_the_digest_of_samples_is_that_of_the_sound_and_not_of_the_file(tmp_path):
    samples = (noise(3) * 2**15).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    soundfile.write(tmp_path / "a.flac", samples, RATE)
    wav, flac = (AudioFile(tmp_path / name).recording() for name in ("a.wav", "a.flac"))
    assert wav.digest() == flac.digest()
    assert wav.digest() != Recording(wav.samples, 8000).digest()
    assert wav.digest() != Recording(wav.samples[1:], RATE).digest()


def test_a_phones_recording_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "monday.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0" * 40)
    for read in (AudioFile(path).recording, AudioFile(path).form):
        with pytest.raises(UnreadableClipError, match=r"ffmpeg -i monday\.m4a monday\.wav"):
            read()


AUDIO = AudioSettings(sample_rate=RATE, channel=0, **AUDIO_BOUNDS)


@pytest.mark.parametrize(
    ("form", "bounds", "reason"),
    [
        ({"sample_rate": 1}, {}, "its sample rate is 1 Hz; 1000 to 1000000 Hz are read"),
        ({"sample_rate": 8}, {}, "its sample rate is 8 Hz"),
        ({"sample_rate": 10_000_000}, {}, "its sample rate is 10000000 Hz"),
        ({}, {"max_samples": 1999}, "2000 samples in all channels; at most 1999"),
        ({"sample_rate": 1000}, {"max_samples": 15_999}, "16000 samples once resampled"),
    ],
)
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_header_beyond_the_bounds_is_refused_before_anything_is_decoded(
    monkeypatch, form, bounds, reason, subtype
):
    content = io.BytesIO()
    rate = form.get("sample_rate", RATE)
    soundfile.write(content, noise(0, 1000 / rate, rate, 2), rate, format="WAV", subtype=subtype)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)  # calling it would fail
    with pytest.raises(UnreadableClipError, match=reason):
        decode_recording(content.getvalue(), AUDIO.model_copy(update=bounds))


def test_a_recording_at_the_bounds_is_read(tmp_path, write_clip):
    path = write_clip(tmp_path / "a.wav", noise(0, 2.0, 1000), samplerate=1000)
    audio = AUDIO.model_copy(update={"max_samples": 32_000})
    assert len(AudioFile(path).recording(audio=audio).samples) == 2000


def test_a_file_too_large_for_memory_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "large.wav"
    with path.open("wb") as file:
        file.truncate(8 * 2**28 + 1)  # no bytes on the disk
    with pytest.raises(UnreadableClipError, match="too large: 2147483649 bytes"):
        AudioFile(path).recording(audio=AUDIO)


def test_a_file_that_memory_does_not_hold_is_refused(tmp_path, write_clip, monkeypatch):
    path = write_clip(tmp_path / "a.wav", subtype="FLOAT")

    def fails(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(soundfile.SoundFile, "read", fails)
    with pytest.raises(UnreadableClipError, match="more memory than there is"):
        AudioFile(path).recording(audio=AUDIO)


def test_a_header_that_promises_more_than_any_file_of_its_size_is_refused():
    content = io.BytesIO()
    soundfile.write(content, noise(0), RATE, format="FLAC")
    claimed = bytearray(content.getvalue())
    claimed[21] |= 0x0F  # the count of samples: 36 bits, of which these are the highest
    assert soundfile.info(io.BytesIO(claimed)).frames > 2**35
    with pytest.raises(UnreadableClipError, match="more samples than a file can hold"):
        decode_recording(bytes(claimed))


def test_silence_is_no_promise_beyond_reason():
    # it is the densest that there is
    for container, subtype in (("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")):
        content = io.BytesIO()
        form = {"format": container, "subtype": subtype}
        with soundfile.SoundFile(content, "w", RATE, 1, **form) as sound:
            for _ in range(60):
                sound.write(np.zeros(RATE))
        assert len(decode_recording(content.getvalue()).samples) == 60 * RATE


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_has_no_end_is_not_opened(tmp_path, kind, linked):
    place = tmp_path / "x.wav"
    if kind == "pipe":
        os.mkfifo(tmp_path / "pipe")
    end = tmp_path / "pipe" if kind == "pipe" else Path("/dev/zero")
    if linked:
        place.symlink_to(end)
    file = AudioFile(place if linked else end)
    for read in (file.content, file.sha256, file.form, file.recording):
        with pytest.raises(UnreadableClipError, match="a folder, a pipe or a device"):
            read()


def test_a_part_of_what_cannot_be_sought_in_is_read(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise(3, seconds=9.0), RATE, subtype="GSM610")
    whole = AudioFile(path).recording().samples
    for start, stop in ((0, 160), (70_000, 140_001)):
        found = AudioFile(path).recording(Span(start, stop)).samples
        np.testing.assert_array_equal(found, whole[start:stop])


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM", "ULAW", "ALAW"])
def test_a_format_of_telephones_is_read(subtype):
    """libsndfile cannot seek in GSM 6.10; its blocks are filled up."""
    content = io.BytesIO()
    soundfile.write(content, tone(440, RATE), RATE, format="WAV", subtype=subtype)
    recording = decode_recording(content.getvalue(), AUDIO)
    assert RATE <= len(recording.samples) < RATE + 1024
    inside = slice(500, -2000)
    expected = tone(440, RATE, 2.0)[: len(recording.samples)]
    np.testing.assert_allclose(recording.samples[inside, 0], expected[inside], atol=0.1)
