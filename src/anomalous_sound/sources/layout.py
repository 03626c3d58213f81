"""Read machine type, machine ID, split and label of a clip from its path.

Three layouts are understood: DCASE Task 2 (2020 and the later years' sections), MIMII, and a plain
folder with or without a ``labels.csv``. Each gives one :class:`ClipIdentity` per clip.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from anomalous_sound.errors import InputError
from anomalous_sound.sources.tables import Table
from anomalous_sound.vocabulary import Domain, Label, Split

LABELS_FILE = "labels.csv"

_LABEL_WORDS = {
    "normal": Label.NORMAL,
    "anomaly": Label.ANOMALOUS,
    "anomalous": Label.ANOMALOUS,
    "abnormal": Label.ANOMALOUS,
    "unknown": Label.UNKNOWN,
}
# train/, test/, and the names that the years 2021 and after gave to the parts of the test set
_SPLIT_FOLDERS = {
    "train": Split.TRAIN,
    "test": Split.TEST,
    "source_test": Split.TEST,
    "target_test": Split.TEST,
}

# normal_id_00_00000000, anomaly_id_00_00000000, id_01_00000000 (evaluation data: no label)
_DCASE_2020 = re.compile(r"^(?:(?P<label>normal|anomaly)_)?id_(?P<machine_id>[0-9]+)_[0-9]+$")
# section_00_source_train_normal_0000_<attributes>, section_03_test_0000, section_03_0000
_DCASE_SECTION = re.compile(
    r"^section_(?P<machine_id>[0-9]+)_(?:(?P<domain>source|target)_)?(?:(?:train|test)_)?"
    r"(?:(?P<label>normal|anomaly)_)?[0-9]+(?:_(?P<attributes>.*))?$"
)
_LABEL_FOLDERS = ("normal", "abnormal")
_NO_ATTRIBUTES = "noattribute"  # since 2024, where they are kept secret
_SUPPLEMENT = "supplemental"  # a folder of DCASE since 2025, beside train/ and test/
_MIMII_FOLDER = re.compile(r"^id_(?P<machine_id>[0-9]+)$")

# no recording called so is silently taken for normal sound: these anywhere, or as a word; a word
# begins and ends where letters do, and where their case changes as in BadBearing and NGclips
_WORD_BEGINS = r"(?:(?<![^\W\d_])|(?-i:(?<=[a-z])(?=[A-Z])))"
_WORD_ENDS = r"(?:(?![^\W\d_])|(?-i:(?<=[a-z])(?=[A-Z])))"
_SOUNDS_FAULTY = re.compile(
    r"abnorm|anomal|faulty|defe[ck]t|malfunction|unhealthy|misalign|(?:im|un)balanc"
    rf"|{_WORD_BEGINS}(?:ng|nok|ko|not(?:[\W\d_])*ok|bad|loose(?:ned|ness)?|fault(?:s|ed)?|broken"
    r"|damaged?|fail(?:ure|ures|ed|ing)?|worn|crack(?:s|ed)?|leak(?:s|ing)?|errors?"
    rf"|(?:un|non|not)[\W_]?normal){_WORD_ENDS}"
    # capitals before a word in small letters: NGclips, but not NGO
    rf"|{_WORD_BEGINS}(?-i:NG|NOK|KO)(?-i:(?=[A-Z]?[a-z]{{2}}))",
    re.IGNORECASE,
)
_TEST_FOLDERS = re.compile(
    r"(?:^|/)(?:source_|target_)?(?:tests?|testing|testset|eval|evaluation|val|validation)"
    r"(?:[\W_]?(?:\d+|data|set))?/",
    re.IGNORECASE,
)
_PLAIN_NAME = re.compile(r"[\w. -]{0,80}")

EXPECTED_NAMES = (
    "normal_id_<id>_<n>, anomaly_id_<id>_<n> or section_<id>_…_<n> in train/ or test/, "
    "or id_<id>/normal|abnormal/<n>"
)


@dataclass(frozen=True)
class ClipIdentity:
    """What the layout says of a clip.

    Attributes:
        machine_type: for example ``slider``.
        machine_id: for example ``00``; the empty string where the layout knows none.
        split: ``train`` or ``test``; None where the layout leaves the split to us.
        label: ``normal``, ``anomalous`` or ``unknown``.
        domain: ``source`` or ``target`` (DCASE since 2021); the empty string where there is none.
        attributes: of the machine's operation, as the names of DCASE say them: ``vel_21``.
    """

    machine_type: str
    machine_id: str
    split: str | None
    label: str
    domain: str = ""
    attributes: str = ""


@dataclass(frozen=True)
class ClipFacts:
    """What has been published of a clip elsewhere than in its name; empty: nothing.

    Attributes:
        label: ``normal`` or ``anomalous``.
        domain: ``source`` or ``target``.
        attributes: as in :class:`ClipIdentity`.
    """

    label: str = ""
    domain: str = ""
    attributes: str = ""

    def added_to(self, identity: ClipIdentity) -> ClipIdentity:
        """Return an identity with what its name leaves out."""
        unlabelled = identity.label == Label.UNKNOWN and self.label
        return replace(
            identity,
            label=self.label if unlabelled else identity.label,
            domain=identity.domain or self.domain,
            attributes=identity.attributes or self.attributes,
        )


_NOTHING: Mapping[str, ClipFacts] = {}


def identify_clips(
    clip_ids: Sequence[str],
    folder_name: str,
    labels: Table | None = None,
    published: Mapping[str, ClipFacts] = _NOTHING,
) -> tuple[dict[str, ClipIdentity], dict[str, str]]:
    """Identify every clip of a corpus by its layout.

    Args:
        clip_ids: paths of the clips below the corpus folder, with forward slashes.
        folder_name: name of the corpus folder; the machine type where no folder below it says one.
        labels: contents of ``labels.csv``, if the folder holds one; it overrules names.
        published: what is known of clips beside their names.

    Returns:
        The identity of each clip that could be identified, and the reason for each that could not.

    Raises:
        InputError: ``labels`` lacks a column or holds a word that is no label or split; or there
            is no layout, and a name speaks of a fault or of a test.
    """
    if labels is not None:
        return _identify_by_table(clip_ids, folder_name, labels)
    found = {
        clip_id: identity and published.get(clip_id, ClipFacts()).added_to(identity)
        for clip_id in clip_ids
        for identity in [_identify_by_name(clip_id, folder_name)]
    }
    if not any(found.values()):
        _refuse_names_of_faults(clip_ids, folder_name)
        # a plain folder: everything in it is taken for normal sound of one machine
        plain = ClipIdentity(folder_name, "", Split.TRAIN, Label.NORMAL)
        return dict.fromkeys(clip_ids, plain), {}
    return (
        {clip_id: identity for clip_id, identity in found.items() if identity},
        {clip_id: _why_unknown(clip_id) for clip_id, identity in found.items() if not identity},
    )


def _why_unknown(clip_id: str) -> str:
    if _SUPPLEMENT in PurePosixPath(clip_id).parts[:-1]:
        return (
            f"{_SUPPLEMENT}: the machine or the noise alone, which is neither trained on nor judged"
        )
    return f"the name cannot be parsed; expected {EXPECTED_NAMES}"


def identify_new_clips(
    clip_ids: Sequence[str], folder_name: str, labels: Table | None = None
) -> tuple[dict[str, ClipIdentity], dict[str, str]]:
    """Identify clips that are to be judged: all are test clips, and none is refused for its name.

    Args:
        clip_ids: as for :func:`identify_clips`, and so are the others.
        folder_name: the machine type where the layout says none.
        labels: contents of ``labels.csv``, if the folder holds one.

    Returns:
        The identity of each clip, and the reason for each that ``labels`` names and is not there.

    Raises:
        InputError: as :func:`identify_clips` for ``labels``.
    """
    if labels is not None:
        found, absent = _identify_by_table(clip_ids, folder_name, labels)
    else:
        nameless = ClipIdentity(folder_name, "", Split.TEST, Label.UNKNOWN)
        found = {
            clip_id: _identify_by_name(clip_id, folder_name) or nameless for clip_id in clip_ids
        }
        absent = {}
    return {
        clip_id: replace(identity, split=Split.TEST) for clip_id, identity in found.items()
    }, absent


def is_part_of_a_machine(folder: str) -> bool:
    """Whether a folder is called as parts of one machine type are.

    >>> is_part_of_a_machine("train"), is_part_of_a_machine("id_00"), is_part_of_a_machine("fan")
    (True, True, False)
    """
    return (
        folder in _SPLIT_FOLDERS
        or folder in _LABEL_FOLDERS
        or _MIMII_FOLDER.match(folder) is not None
    )


def _refuse_names_of_faults(clip_ids: Sequence[str], folder_name: str) -> None:
    """Refuse a plain folder in which a name speaks of a fault or of a test.

    Raises:
        InputError: it names the folder or file.
    """
    for clip_id in clip_ids:
        inside = f"{folder_name}/{clip_id}"
        if found := _SOUNDS_FAULTY.search(inside):
            what, end = "a fault", found.end()
        elif found := _TEST_FOLDERS.search(clip_id):
            what, end = "a test", len(folder_name) + found.end()
        else:
            continue
        rest, slash, _ = inside[end:].partition("/")
        named = inside[:end] + rest + slash
        raise InputError(
            f"{named}: the name speaks of {what}, but {folder_name}/ has no layout that is "
            f"understood (expected {EXPECTED_NAMES}), so everything in it would be trained on as "
            f"normal sound; put a {LABELS_FILE} (file,label) into {folder_name}/, or move what is "
            "not normal out of it."
        )


def _identify_by_name(clip_id: str, folder_name: str) -> ClipIdentity | None:
    path = PurePosixPath(clip_id)
    folders = path.parts[:-1]
    if _SUPPLEMENT in folders:
        return None
    match = _DCASE_2020.match(path.stem) or _DCASE_SECTION.match(path.stem)
    if match:
        told = match.groupdict(default="")
        attributes = told.get("attributes", "")
        in_split = bool(folders) and folders[-1] in _SPLIT_FOLDERS
        above = folders[:-1] if in_split else folders
        label = _LABEL_WORDS[match["label"]] if match["label"] else Label.UNKNOWN
        return ClipIdentity(
            machine_type=above[-1] if above else folder_name,
            machine_id=match["machine_id"],
            split=_SPLIT_FOLDERS[folders[-1]] if in_split else None,
            label=label,
            domain=told.get("domain", ""),
            attributes="" if attributes.lower() == _NO_ATTRIBUTES else attributes,
        )
    if len(folders) >= 2 and folders[-1] in _LABEL_FOLDERS:
        match = _MIMII_FOLDER.match(folders[-2])
        if match:
            return ClipIdentity(
                machine_type=folders[-3] if len(folders) >= 3 else folder_name,
                machine_id=match["machine_id"],
                split=None,
                label=_LABEL_WORDS[folders[-1]],
            )
    return None


def _identify_by_table(
    clip_ids: Sequence[str], folder_name: str, labels: Table
) -> tuple[dict[str, ClipIdentity], dict[str, str]]:
    for column in ("file", "label"):
        if column not in labels.columns:
            raise InputError(
                f"{LABELS_FILE} has no column '{column}'; it needs file and label, and may have "
                "split, machine_type, machine_id, domain and attributes."
            )
    identities = {}
    for line, row in enumerate(labels.rows, start=2):
        if row["file"] in identities:
            raise InputError(f"{LABELS_FILE}, line {line}: {row['file']} is listed twice.")
        split = row.get("split", "")
        if split not in ("", Split.TRAIN, Split.TEST):
            raise InputError(f"{LABELS_FILE}, line {line}: split '{split}'; give train or test.")
        for column in ("machine_type", "machine_id"):
            _check_name(row.get(column, ""), f"{LABELS_FILE}, line {line}: {column}")
        domain = row.get("domain", "")
        if domain not in ("", *Domain):
            raise InputError(
                f"{LABELS_FILE}, line {line}: domain '{domain}'; give source or target."
            )
        identities[row["file"]] = ClipIdentity(
            machine_type=row.get("machine_type") or folder_name,
            machine_id=row.get("machine_id", ""),
            split=split or None,
            label=_label_word(row["label"], line),
            domain=domain,
            attributes=row.get("attributes", ""),
        )
    # what is in the folder but not in the table was never declared normal: judge it, never train
    unlisted = ClipIdentity(folder_name, "", Split.TEST, Label.UNKNOWN)
    known = {clip_id: identities.get(clip_id, unlisted) for clip_id in clip_ids}
    reason = f"listed in {LABELS_FILE}, but there is no such audio file"
    return known, {file: reason for file in identities if file not in known}


def _check_name(name: str, place: str) -> None:
    """Refuse what cannot be a part of file names and of the names of metrics."""
    if not _PLAIN_NAME.fullmatch(name) or name.strip(". ") != name:
        shown = name if len(name) <= 80 else f"{name[:80]}…"
        raise InputError(
            f"{place} is {shown!r}; give at most 80 letters, digits, spaces, points, hyphens and "
            "underscores, with a letter or digit at both ends."
        )


def _label_word(word: str, line: int) -> str:
    try:
        return _LABEL_WORDS[word]
    except KeyError:
        raise InputError(
            f"{LABELS_FILE}, line {line}: label '{word}'; give normal, anomalous or unknown."
        ) from None


def choose_machine_type(identities: Mapping[str, ClipIdentity], wanted: str | None) -> str:
    """Return the one machine type of a run: a detector judges one machine type.

    Raises:
        InputError: ``wanted`` is not there, or there are several and none is wanted.
    """
    present = sorted({identity.machine_type for identity in identities.values()})
    listed = ", ".join(present)
    if wanted is None:
        if len(present) > 1:
            raise InputError(
                f"the corpus holds several machine types ({listed}), which the folders of the "
                "clips name; choose one, for example --params corpus.machine_type="
                f"{present[0]}. If these are no machine types, a {LABELS_FILE} with file, label "
                "and machine_type says of which one the clips are."
            )
        return present[0]
    if wanted not in present:
        raise InputError(f"corpus.machine_type '{wanted}' is not in the corpus; it holds {listed}.")
    return wanted
