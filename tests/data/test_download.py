"""Fetching, resuming, refusing and verifying corpus files, against a real loopback HTTP server."""

import argparse
import hashlib
import io
import shutil
import stat
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chmed_ner.cli import data as command
from chmed_ner.data.archive import MAX_UNPACKED
from chmed_ner.data.catalog import CORPORA, CorpusFile, check_file, checksum, named_corpora
from chmed_ner.data.download import Outcome, Server, fetch_file
from chmed_ner.errors import InputError, RunError

PIECE = 1 << 13  # what is written at once
CONTENT = "".join(f"第{n}句 O\r\n" for n in range(30_000)).encode()
LINE = '{"id": 1, "genre": "ft", "sentence": "頭痛"}\n'.encode()


@dataclass
class Site:
    """What the loopback server holds, how it misbehaves, and the requests it has seen."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)  # answered first, one per request
    cuts: list[int] = field(default_factory=list)  # bytes after which a connection is cut
    ranges: bool = True
    shift: int = 0  # a broken server's error in where its ranges begin
    endless: bool = False
    seconds: float = 0.0  # between two pieces of a body
    seen: list[str | None] = field(default_factory=list)  # the Range header of each request

    def publish(self, file: CorpusFile, content: bytes) -> CorpusFile:
        """Hold `content` under the file's address."""
        self.files[file.url("")] = content
        return file


class Handler(BaseHTTPRequestHandler):
    """Answers GET as `site` says."""

    site: Site

    def log_message(self, format: str, *arguments: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        """Answer with a status, a whole file or a range of it."""
        asked = self.headers["Range"]
        self.site.seen.append(asked)
        if self.site.statuses:
            self.send_error(self.site.statuses.pop(0))
        elif self.path not in self.site.files:
            self.send_error(404)
        else:
            self.answer(self.site.files[self.path], asked if self.site.ranges else None)

    def answer(self, content: bytes, asked: str | None) -> None:
        """The content from the byte asked for on, as slowly and as far as `site` says."""
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if asked and start >= len(content):
            self.send_error(416)
            return
        start += self.site.shift if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if not self.site.endless:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        if self.site.cuts:
            body = body[: self.site.cuts.pop(0)]
        try:
            for position in range(0, len(body), 1 << 14):
                self.wfile.write(body[position : position + (1 << 14)])
                time.sleep(self.site.seconds)
            while self.site.endless:
                self.wfile.write(bytes(1 << 16))
        except OSError:
            pass  # the client has seen enough


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server on a free port of the loopback interface."""
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")
    held = Site()
    handler = type("Bound", (Handler,), {"site": held})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        held.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield held
        server.shutdown()


def corpus_file(content: bytes = CONTENT, size: int | None = None) -> CorpusFile:
    """A catalogue entry for `content`."""
    digest = hashlib.sha256(content).hexdigest()
    return CorpusFile("toy/gold.txt", "lab/toy", "0" * 40, digest, "toy sentences", size=size)


def archive_file(content: bytes) -> CorpusFile:
    """A catalogue entry for an archive known by its blob id, with train.json in it."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return CorpusFile(
        "toy/train.zip",
        "lab/toy",
        "0" * 40,
        blob,
        "toy sentences",
        algorithm="git blob id",
        unpacked="train.json",
    )


def quick(site: Site) -> Server:
    """The site, without long pauses between attempts."""
    return Server(site.url, attempts=3, pause=0.01)


def names(folder: Path) -> set[str]:
    """The files below `folder`, without the lock."""
    return {path.name for path in folder.rglob("*") if path.is_file()} - {".fetch.lock"}


def run(*arguments: str) -> int:
    """The exit code of `chmed-ner data ARGUMENTS`."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.execute(parser.parse_args(arguments))


def test_a_file_arrives_whole_and_is_not_asked_for_again(site: Site, tmp_path: Path) -> None:
    file = site.publish(corpus_file(), CONTENT)
    target = tmp_path / "toy" / "gold.txt"
    assert fetch_file(file, tmp_path, quick(site)) == (Outcome(target, "fetched"),)
    assert target.read_bytes() == CONTENT
    assert names(tmp_path) == {"gold.txt"}
    assert fetch_file(file, tmp_path, quick(site)) == (Outcome(target, "present"),)
    assert site.seen == [None]


def test_an_intact_file_is_left_alone_without_a_lock(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "toy" / "gold.txt"
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    fetch_file(corpus_file(), tmp_path, quick(site))
    assert list(target.parent.iterdir()) == [target]
    assert site.seen == []


def test_a_cut_connection_is_continued_where_it_broke(site: Site, tmp_path: Path) -> None:
    file = site.publish(corpus_file(), CONTENT)
    site.cuts = [PIECE * 12, PIECE * 5]
    fetch_file(file, tmp_path, quick(site))
    assert (tmp_path / file.path).read_bytes() == CONTENT
    assert site.seen == [None, f"bytes={PIECE * 12}-", f"bytes={PIECE * 17}-"]


def test_the_next_command_continues_what_an_earlier_one_left(site: Site, tmp_path: Path) -> None:
    file = site.publish(corpus_file(), CONTENT)
    site.cuts = [PIECE, PIECE, PIECE]
    with pytest.raises(RunError, match=r"3 attempts.*24,576 bytes have arrived"):
        fetch_file(file, tmp_path, quick(site))
    assert names(tmp_path) == {"gold.txt.part"}
    fetch_file(file, tmp_path, quick(site))
    assert site.seen[-1] == f"bytes={PIECE * 3}-"
    assert (tmp_path / file.path).read_bytes() == CONTENT
    assert names(tmp_path) == {"gold.txt"}


def test_a_complete_part_needs_no_second_download(site: Site, tmp_path: Path) -> None:
    file = site.publish(corpus_file(), CONTENT)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "gold.txt.part").write_bytes(CONTENT)
    fetch_file(file, tmp_path, quick(site))
    assert site.seen == [f"bytes={len(CONTENT)}-"]  # answered 416
    assert (tmp_path / file.path).read_bytes() == CONTENT


def test_a_server_without_ranges_is_asked_for_the_whole(site: Site, tmp_path: Path) -> None:
    file = site.publish(corpus_file(), CONTENT)
    site.ranges = False
    site.cuts = [PIECE * 12]
    fetch_file(file, tmp_path, quick(site))
    assert site.seen == [None, f"bytes={PIECE * 12}-"]
    assert (tmp_path / file.path).read_bytes() == CONTENT


def test_a_range_that_begins_elsewhere_is_not_appended(site: Site, tmp_path: Path) -> None:
    file = site.publish(corpus_file(), CONTENT)
    site.cuts = [PIECE * 12]
    site.shift = -7
    fetch_file(file, tmp_path, quick(site))
    assert site.seen == [None, f"bytes={PIECE * 12}-", None]
    assert (tmp_path / file.path).read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"not the file", CONTENT + b"and more"])
def test_a_bad_left_over_part_is_thrown_away(site: Site, tmp_path: Path, left: bytes) -> None:
    file = site.publish(corpus_file(), CONTENT)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "gold.txt.part").write_bytes(left)
    fetch_file(file, tmp_path, quick(site))
    assert (tmp_path / file.path).read_bytes() == CONTENT
    assert site.seen[-1] is None


def test_wrong_content_never_takes_the_name(site: Site, tmp_path: Path) -> None:
    wrong = CONTENT[:-1] + b"!"
    file = site.publish(corpus_file(), wrong)
    with pytest.raises(InputError) as caught:
        fetch_file(file, tmp_path, quick(site))
    message = str(caught.value)
    assert str(tmp_path / file.path) in message
    assert file.checksum in message
    assert hashlib.sha256(wrong).hexdigest() in message
    assert file.url(site.url) in message
    assert "--base-url" in message
    assert names(tmp_path) == set()


def test_an_endless_answer_is_ended(site: Site, tmp_path: Path) -> None:
    file = site.publish(corpus_file(size=len(CONTENT)), CONTENT)
    site.endless = True
    with pytest.raises(InputError, match="wrong SHA-256"):
        fetch_file(file, tmp_path, quick(site))
    assert names(tmp_path) == set()


def test_a_wrong_file_in_place_is_kept_under_another_name(site: Site, tmp_path: Path) -> None:
    file = site.publish(corpus_file(), CONTENT)
    target = tmp_path / file.path
    target.parent.mkdir()
    target.write_bytes(b"edited by hand")
    site.statuses = [404]
    with pytest.raises(InputError):
        fetch_file(file, tmp_path, quick(site))
    assert target.read_bytes() == b"edited by hand"
    assert fetch_file(file, tmp_path, quick(site)) == (Outcome(target, "replaced"),)
    assert target.read_bytes() == CONTENT
    assert target.with_name("gold.txt.old").read_bytes() == b"edited by hand"


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_missing_address_fails_at_once(site: Site, tmp_path: Path, status: int) -> None:
    site.statuses = [status]
    with pytest.raises(InputError, match=rf"{site.url}.*answers {status}.*--base-url") as caught:
        fetch_file(corpus_file(), tmp_path, quick(site))
    assert caught.value.exit_code == 2
    assert len(site.seen) == 1
    assert names(tmp_path) == set()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(site: Site, tmp_path: Path, status: int) -> None:
    file = site.publish(corpus_file(), CONTENT)
    site.statuses = [status, status]
    fetch_file(file, tmp_path, quick(site))
    assert len(site.seen) == 3
    assert (tmp_path / file.path).read_bytes() == CONTENT


def test_attempts_are_bounded(site: Site, tmp_path: Path) -> None:
    site.statuses = [503] * 9
    with pytest.raises(RunError, match=r"answers 503.*3 attempts") as caught:
        fetch_file(corpus_file(), tmp_path, quick(site))
    assert caught.value.exit_code == 1
    assert len(site.seen) == 3


def test_a_server_that_is_not_there_is_reported(tmp_path: Path, site: Site) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    with pytest.raises(RunError, match="ConnectionRefusedError"):
        fetch_file(corpus_file(), tmp_path, Server(f"http://127.0.0.1:{port}", 2, 0.01))
    assert site.seen == []


@pytest.mark.parametrize("url", ["", "mirror.example", "file:///tmp", "http://", "http://a:99999"])
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"check --base-url, it is an address like https://"):
        fetch_file(corpus_file(), tmp_path, Server(url))
    assert names(tmp_path) == set()


def test_a_folder_that_cannot_be_written_is_refused(site: Site, tmp_path: Path) -> None:
    file = site.publish(corpus_file(), CONTENT)
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    with pytest.raises(InputError, match=r"a file.*--root.*CHMED_NER_DATA"):
        fetch_file(file, blocked, quick(site))
    assert site.seen == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system like /proc")
def test_a_read_only_file_system_is_refused(site: Site) -> None:
    with pytest.raises(InputError, match=r"cannot be written.*CHMED_NER_DATA"):
        fetch_file(corpus_file(), Path("/proc/self/corpora"), quick(site))
    assert site.seen == []


def test_a_folder_in_the_place_of_a_file_is_named(site: Site, tmp_path: Path) -> None:
    (tmp_path / "toy" / "gold.txt").mkdir(parents=True)
    with pytest.raises(InputError, match=r"gold\.txt: cannot be read"):
        fetch_file(corpus_file(), tmp_path, quick(site))


def fetching_process(site: Site, root: Path, file: CorpusFile) -> subprocess.Popen[str]:
    """Another process that fetches `file`."""
    program = (
        "import sys; from pathlib import Path\n"
        "from chmed_ner.data.catalog import CorpusFile\n"
        "from chmed_ner.data.download import Server, fetch_file\n"
        "file = CorpusFile('toy/gold.txt', 'lab/toy', '0' * 40, sys.argv[3], 'toy')\n"
        "print(fetch_file(file, Path(sys.argv[2]), Server(sys.argv[1]))[0].status)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, site.url, str(root), file.checksum],
        cwd=Path(command.__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_of_two_processes_one_writes(site: Site, tmp_path: Path) -> None:
    file = site.publish(corpus_file(), CONTENT)
    site.seconds = 0.05
    processes = [fetching_process(site, tmp_path, file) for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert sorted(output.strip() for output, _ in answers) == ["fetched", "present"]
    assert len(site.seen) == 1
    assert (tmp_path / file.path).read_bytes() == CONTENT


def test_a_killed_process_leaves_a_part_that_is_continued(site: Site, tmp_path: Path) -> None:
    file = site.publish(corpus_file(), CONTENT)
    site.seconds = 0.1
    process = fetching_process(site, tmp_path, file)
    part = tmp_path / "toy" / "gold.txt.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    arrived = part.stat().st_size
    assert 0 < arrived < len(CONTENT)
    assert not (tmp_path / file.path).exists()
    site.seconds = 0.0
    fetch_file(file, tmp_path, quick(site))
    assert site.seen == [None, f"bytes={arrived}-"]
    assert (tmp_path / file.path).read_bytes() == CONTENT


def test_a_git_blob_id_is_what_git_says(tmp_path: Path) -> None:
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert checksum(path, "git blob id") == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert checksum(tmp_path / "absent", "git blob id") is None


def zipped(*members: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    """A zip archive of these members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def forged(content: bytes, offset: int, value: bytes) -> bytes:
    """The archive with bytes of its (only) central directory entry overwritten."""
    start = content.index(b"PK\1\2") + offset
    return content[:start] + value + content[start + len(value) :]


def symbolic_link() -> zipfile.ZipInfo:
    """A member that is a link."""
    member = zipfile.ZipInfo("train.json")
    member.create_system = 3
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


PLAIN = zipped(("train.json", LINE * 100))
MAC = zipped(("data/train.json", LINE), ("__MACOSX/data/train.json", b"?"), ("README", b"hi"))
REFUSED = {
    "leads outside": (zipped(("../train.json", LINE)), "points outside"),
    "leads outside deep": (zipped(("a/../../train.json", LINE)), "points outside"),
    "absolute": (zipped(("/tmp/train.json", LINE)), "points outside"),
    "backslashes": (zipped(("..\\train.json", LINE)), "points outside"),
    "drive": (zipped(("C:/train.json", LINE)), "points outside"),
    "link": (zipped((symbolic_link(), b"/etc/passwd")), "symbolic link"),
    "none": (zipped(("other.json", LINE), ("train.json/other", LINE)), "holds no train.json"),
    "two": (
        zipped(("a/train.json", LINE), ("b/train.json", LINE)),
        "holds 2 files named train.json",
    ),
    "bomb": (forged(PLAIN, 24, struct.pack("<L", MAX_UNPACKED + 1)), "would take 400,000,001"),
    "understated": (forged(PLAIN, 24, struct.pack("<L", 10)), "damaged"),
    "encrypted": (forged(PLAIN, 8, struct.pack("<H", 1)), "encrypted"),
    "odd packing": (forged(PLAIN, 10, struct.pack("<H", 14)), "method 14"),
    "no zip": (b"version https://git-lfs.github.com/spec/v1\n", "not a readable zip file"),
}


@pytest.mark.parametrize(("content", "expected"), [(PLAIN, LINE * 100), (MAC, LINE)])
def test_an_archive_is_kept_and_its_member_laid_beside(
    site: Site, tmp_path: Path, content: bytes, expected: bytes
) -> None:
    file = site.publish(archive_file(content), content)
    archive, member = tmp_path / "toy" / "train.zip", tmp_path / "toy" / "train.json"
    outcomes = fetch_file(file, tmp_path, quick(site))
    assert outcomes == (Outcome(archive, "fetched"), Outcome(member, "unpacked"))
    assert member.read_bytes() == expected
    assert names(tmp_path) == {"train.zip", "train.json"}
    again = fetch_file(file, tmp_path, quick(site))
    assert again == (Outcome(archive, "present"), Outcome(member, "present"))
    assert len(site.seen) == 1


def test_an_unpacked_file_is_held_against_its_archive(site: Site, tmp_path: Path) -> None:
    file = site.publish(archive_file(PLAIN), PLAIN)
    fetch_file(file, tmp_path, quick(site))
    archive, member = tmp_path / "toy" / "train.zip", tmp_path / "toy" / "train.json"
    assert [finding.status for finding in check_file(file, tmp_path)] == ["ok", "ok"]
    changed = member.read_bytes().replace("頭".encode(), "腹".encode())
    member.write_bytes(changed)
    assert [finding.status for finding in check_file(file, tmp_path)] == ["ok", "wrong"]
    outcomes = fetch_file(file, tmp_path, quick(site))
    assert outcomes == (Outcome(archive, "present"), Outcome(member, "replaced"))
    assert member.read_bytes() == LINE * 100
    assert member.with_name("train.json.old").read_bytes() == changed
    archive.unlink()
    assert [f.status for f in check_file(file, tmp_path)] == ["missing", "unverified"]
    member.unlink()
    assert [f.status for f in check_file(file, tmp_path)] == ["missing"]


@pytest.mark.parametrize("kind", REFUSED)
def test_a_malicious_archive_is_not_unpacked(site: Site, tmp_path: Path, kind: str) -> None:
    content, reason = REFUSED[kind]
    root = tmp_path / "deep" / "root"
    file = site.publish(archive_file(content), content)
    with pytest.raises(InputError, match=rf"train\.zip: .*{reason}.*nothing was unpacked"):
        fetch_file(file, root, quick(site))
    assert names(tmp_path) == {"train.zip"}


def test_the_catalogue_names_every_file_once() -> None:
    files = [file for corpus in CORPORA for file in corpus.files]
    assert len({file.path for file in files}) == len(files)
    assert len({file.checksum for file in files}) == len(files)
    assert all(file.path.startswith(f"{c.name}/") for c in CORPORA for file in c.files)
    assert files[0].url() == (
        "https://raw.githubusercontent.com/NYCU-NLP/Chinese-HealthNER-Corpus/"
        "a5eaca54376267cee7a015eb870f7f302517d813/train.zip"
    )


def test_an_unknown_corpus_is_refused() -> None:
    with pytest.raises(InputError, match=r"no corpus 'HealthNER'; did you mean 'healthner'\?"):
        named_corpora(["HealthNER"])
    with pytest.raises(InputError, match="healthner, rocling2022, rocling2023"):
        run("fetch", "conll2003")


def test_the_command_refuses_wrong_content(site: Site, tmp_path: Path) -> None:
    for file in named_corpora(["rocling2022"])[0].files:
        site.publish(file, b"<html>please log in</html>")
    with pytest.raises(InputError, match=r"ROCLING22_CHNER_truth\.txt: wrong SHA-256"):
        run("fetch", "rocling2022", "--root", str(tmp_path), "--base-url", site.url)
    assert names(tmp_path) == set()


def test_list_says_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "healthner").mkdir()
    (tmp_path / "healthner" / "train.zip").write_bytes(b"of unknown size")
    (tmp_path / "healthner" / "test.json").write_bytes(b"cut")
    monkeypatch.setenv("CHMED_NER_DATA", str(tmp_path))
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Data directory: {tmp_path}"
    rows = {line.split()[1]: line.split()[0] for line in lines if line.startswith("  ")}
    assert rows["healthner/train.zip"] == "present"
    assert rows["healthner/train.json"] == "absent"
    assert rows["healthner/test.json"] == "wrong"
    assert {f.path for c in CORPORA for f in c.files} <= set(rows)
    assert sum("licence" in line for line in lines) == len(CORPORA)


def test_fetch_and_verify_the_real_corpora(
    site: Site, tmp_path: Path, corpora_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus,) = named_corpora(["rocling2022"])
    for file in corpus.files:
        site.publish(file, (corpora_dir / file.path).read_bytes())
    where = ("--root", str(tmp_path))
    assert run("verify", "rocling2022", *where) == 2
    assert capsys.readouterr().out.count("missing    rocling2022/") == 2
    assert run("fetch", "rocling2022", *where, "--base-url", site.url) == 0
    output = capsys.readouterr().out
    assert output.count("fetched   rocling2022/") == 2
    assert corpus.citation in output
    assert run("verify", "rocling2022", *where) == 0
    for file in corpus.files:
        assert (tmp_path / file.path).read_bytes() == (corpora_dir / file.path).read_bytes()
    with (tmp_path / corpus.files[0].path).open("ab") as stream:
        stream.write(b"\r\n")
    capsys.readouterr()
    assert run("verify", "rocling2022", *where) == 2
    output = capsys.readouterr().out
    assert f"wrong      {corpus.files[0].path}: SHA-256 expected" in output
    assert f"ok         {corpus.files[1].path}" in output


def test_verify_reports_what_the_data_directory_has(
    corpora_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [file for corpus in CORPORA for file in corpus.files]
    absent = [file.path for file in files if not (corpora_dir / file.path).exists()]
    assert len(absent) < len(files)
    assert run("verify") == (2 if absent else 0)  # the directory comes from CHMED_NER_DATA
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("missing")] == absent
    assert not [line for line in lines if line.startswith("wrong")]


def test_a_copy_of_the_real_corpora_without_write_permission_verifies(
    tmp_path: Path, corpora_dir: Path
) -> None:
    root = tmp_path / "corpora"
    shutil.copytree(corpora_dir / "rocling2022", root / "rocling2022")
    (root / "rocling2022").chmod(0o555)
    where = ("--root", str(root))
    try:
        assert run("verify", "rocling2022", *where) == 0
        before = set((root / "rocling2022").iterdir())
        assert run("fetch", "rocling2022", *where, "--base-url", "http://127.0.0.1:9") == 0
        assert set((root / "rocling2022").iterdir()) == before
    finally:
        (root / "rocling2022").chmod(0o755)
