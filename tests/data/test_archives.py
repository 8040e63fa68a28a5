"""Archives that mean well are unpacked; archives that do not leave nothing behind."""

import io
import stat
import tarfile
import zipfile

import pytest
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.cli import data as _data  # noqa: F401 - registers its commands
from geocc.data.archives import Limits, extract_archive
from geocc.errors import InputError, ReadError, WriteError


def make_zip(path, members, *, kind=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if kind is not None:
                info.external_attr = (kind | 0o777) << 16
            file.writestr(info, data)
    return path


def make_tar(path, members, *, kind=tarfile.REGTYPE, link=""):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            file.addfile(info, io.BytesIO(data))
    return path


MAKERS = {"a.zip": make_zip, "a.tar": make_tar, "a.tar.gz": make_tar}
GOOD = [("set/A/1.png", b"one"), ("set/B/1.png", b"two"), ("read me.txt", b"")]


def nothing_but(archive, folder):
    """Whether the folder holds the archive alone: no target, no draft, nothing beside."""
    return sorted(path.name for path in folder.rglob("*")) == [archive.name]


@pytest.mark.parametrize("name", MAKERS)
def test_a_good_archive_is_unpacked(name, tmp_path):
    archive = MAKERS[name](tmp_path / name, GOOD)
    files = extract_archive(archive, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in files] == [member for member, _ in GOOD]
    assert [path.read_bytes() for path in files] == [data for _, data in GOOD]
    with pytest.raises(WriteError, match="exists"):
        extract_archive(archive, tmp_path / "out")


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("evil", ["../evil", "a/../../evil", "/geocc/evil", "..\\evil", "C:\\evil"])
def test_paths_out_of_the_folder_are_refused(name, evil, tmp_path):
    archive = MAKERS[name](tmp_path / name, [*GOOD, (evil, b"evil")])
    with pytest.raises(InputError, match="leads out"):
        extract_archive(archive, tmp_path / "out")
    assert nothing_but(archive, tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar_are_refused(kind, tmp_path):
    archive = make_tar(tmp_path / "a.tar", [("set/1.png", b"")], kind=kind, link="../../etc/passwd")
    with pytest.raises(InputError, match="link or a device"):
        extract_archive(archive, tmp_path / "out")
    assert nothing_but(archive, tmp_path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_zip_are_refused(kind, tmp_path):
    archive = make_zip(tmp_path / "a.zip", [("set/1.png", b"../../etc/passwd")], kind=kind)
    with pytest.raises(InputError, match="link or a device"):
        extract_archive(archive, tmp_path / "out")
    assert nothing_but(archive, tmp_path)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_bombs_are_stopped(name, tmp_path):
    archive = MAKERS[name](tmp_path / name, [("zeros", bytes(4_000_000))])
    with pytest.raises(InputError, match="times its size"):
        extract_archive(archive, tmp_path / "out", limits=Limits(ratio_from=1_000_000))
    with pytest.raises(InputError, match="more than 2,000,000 bytes"):
        extract_archive(archive, tmp_path / "out", limits=Limits(total_bytes=2_000_000))
    assert nothing_but(archive, tmp_path)


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_too_many_entries_are_stopped(name, tmp_path):
    archive = MAKERS[name](tmp_path / name, [(f"{number}", b"") for number in range(50)])
    with pytest.raises(InputError, match="more than 20 entries"):
        extract_archive(archive, tmp_path / "out", limits=Limits(entries=20))
    assert nothing_but(archive, tmp_path)


def test_a_zip_of_more_entries_than_16_bits_count_is_refused_unlisted(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip", [(f"{number}", b"") for number in range(66_000)])
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(InputError, match="66,000 entries, more than 65,999"):
        extract_archive(archive, tmp_path / "out", limits=Limits(entries=65_999))
    assert nothing_but(archive, tmp_path)


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_a_name_twice_is_refused(name, tmp_path):
    members = [("set/1.png", b"one"), ("set/1.PNG", b"two")]
    archive = MAKERS[name](tmp_path / name, members)
    with pytest.raises(InputError, match="twice"):
        extract_archive(archive, tmp_path / "out")


@pytest.mark.parametrize("name", MAKERS)
def test_broken_archives_are_read_errors(name, tmp_path):
    archive = MAKERS[name](tmp_path / name, [("1", bytes(range(256)) * 400)])
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) // 3])
    with pytest.raises(ReadError, match="broken"):
        extract_archive(archive, tmp_path / "out")
    assert nothing_but(archive, tmp_path)


def test_a_missing_archive_is_a_read_error(tmp_path):
    with pytest.raises(ReadError, match="does not exist"):
        extract_archive(tmp_path / "none.zip", tmp_path / "out")


def test_the_command_unpacks(tmp_path):
    archive = make_zip(tmp_path / "a.zip", GOOD)
    result = CliRunner().invoke(cli.app, ["data", "unpack", str(archive), str(tmp_path / "out")])
    assert result.stdout == f"3 files. Unpacked to {tmp_path / 'out'}.\n"
