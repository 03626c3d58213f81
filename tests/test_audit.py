"""An audit that nobody has answered is none."""

from constraints.audit import report

CLEAN = {"name": "numpy", "version": "2.4.6", "vulns": []}
HOLED = {
    "name": "requests",
    "version": "2.30.0",
    "vulns": [
        {"id": "CVE-1", "fix_versions": ["2.31.0", "2.32.0"]},
        {"id": "X", "fix_versions": []},
    ],
}
SKIPPED = {"name": "torch", "skip_reason": "Dependency not found"}


def test_clean_is_what_was_looked_up_whole_and_has_no_hole():
    assert report({"dependencies": [CLEAN]}) == (["1 packages looked up, 0 known holes"], True)


def test_holes_are_named_with_what_mends_them():
    lines, is_clean = report({"dependencies": [CLEAN, HOLED]})
    assert lines == [
        "2 packages looked up, 2 known holes",
        "requests 2.30.0: CVE-1, mended in 2.31.0 or 2.32.0",
        "requests 2.30.0: X",
    ]
    assert not is_clean


def test_what_was_not_looked_up_is_not_clean():
    lines, is_clean = report({"dependencies": [CLEAN, SKIPPED]})
    assert lines[-1] == "Not looked up, so nothing is known of them: torch"
    assert not is_clean
    assert report({"dependencies": []}) == (["0 packages looked up, 0 known holes"], False)
