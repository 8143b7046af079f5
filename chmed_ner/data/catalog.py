"""The official corpora: where each file is published, what proves it, where it lies, whom to cite.

Corpora are never shipped with the package: a user downloads them (`chmed-ner data fetch`). Files
are pinned by commit, so a URL always means the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal
from urllib.parse import quote

from chmed_ner.errors import InputError

BASE_URL = "https://raw.githubusercontent.com"
"""Where repositories are read from; a mirror has `{repository}/{commit}/{file}` below its own."""

Algorithm = Literal["SHA-256", "git blob id"]

_LICENCE = (
    "none named in the repository; the overview papers make the data available for research. "
    "Do not pass the files on."
)


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One published file.

    `path` is where it lies below the data directory and `name` what it is called at the root of
    `repository`. `size` is in bytes, None where it is not known. `unpacked` names the member of an
    archive that is laid beside it.
    """

    path: str
    repository: str
    commit: str
    checksum: str
    content: str
    algorithm: Algorithm = "SHA-256"
    size: int | None = None
    unpacked: str | None = None

    @property
    def name(self) -> str:
        """The file's name, the same in the repository and on disk."""
        return self.path.rpartition("/")[2]

    def url(self, base_url: str = BASE_URL) -> str:
        """Where the file is read from below `base_url`."""
        where = f"{self.repository}/{self.commit}/{self.name}"
        return f"{base_url.rstrip('/')}/{quote(where)}"


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus: its name on the command line, its title, its files, its citation and licence."""

    name: str
    title: str
    files: tuple[CorpusFile, ...]
    citation: str
    licence: str = _LICENCE


_HEALTHNER = ("NYCU-NLP/Chinese-HealthNER-Corpus", "a5eaca54376267cee7a015eb870f7f302517d813")
_ROCLING2022 = ("NYCU-NLP/ROCLING-2022-ST-CHNER", "71032152463094f7ee85c36bd3633d6edf64e03d")
_ROCLING2023 = (
    "NYCU-NLP/ROCLING-2023-ST-MultiNERHealth",
    "a1e05a61d79c0718ec22dbdca4167b9e6d336849",
)


CORPORA: tuple[Corpus, ...] = (
    Corpus(
        name="healthner",
        title="Chinese HealthNER Corpus (genres FT and SM)",
        files=(
            CorpusFile(
                "healthner/train.zip",
                *_HEALTHNER,
                # The SHA-256 of the archive is published nowhere; the commit fixes its blob id.
                checksum="eb0bbae02df7ebfe1afad3e2f93b39287ac9baac",
                content="28,161 sentences with gold, JSON lines in a zip",
                algorithm="git blob id",
                unpacked="train.json",
            ),
            CorpusFile(
                "healthner/test.json",
                *_HEALTHNER,
                checksum="dfb88d9c6c06203b2976574bf9fc83274f97233ad401e4fc7d5041c794a818b0",
                content="2,531 sentences with gold, JSON lines",
                size=3_235_436,
            ),
        ),
        citation=(
            "Lung-Hao Lee and Yi Lu. 2021. Multiple embeddings enhanced multi-graph neural "
            "networks for Chinese healthcare named entity recognition. IEEE Journal of Biomedical "
            "and Health Informatics, 25(7): 2801-2810."
        ),
    ),
    Corpus(
        name="rocling2022",
        title="ROCLING-2022 shared task, CHNER (genre WA)",
        files=(
            CorpusFile(
                "rocling2022/ROCLING22_CHNER_truth.txt",
                *_ROCLING2022,
                checksum="2902dab2c4c42b89daf0fb23a52d3dc62a03a5af998c2bfdf70fdd96914153f2",
                content="3,205 sentences with gold",
                size=1_043_538,
            ),
            CorpusFile(
                "rocling2022/ROCLING22_CHNER_test.txt",
                *_ROCLING2022,
                checksum="5321dbf4867236241891681b9dd7e4aa4187294a5cc07ee8693639498a022b5e",
                content="the same sentences without gold",
                size=600_097,
            ),
        ),
        citation=(
            "Lung-Hao Lee, Chao-Yi Chen, Liang-Chih Yu and Yuen-Hsien Tseng. 2022. Overview of the "
            "ROCLING 2022 shared task for Chinese healthcare named entity recognition. In "
            "Proceedings of the 34th Conference on Computational Linguistics and Speech "
            "Processing, pp. 363-368."
        ),
    ),
    Corpus(
        name="rocling2023",
        title="ROCLING-2023 shared task, MultiNER-Health (genres FT, SM and WA)",
        files=(
            CorpusFile(
                "rocling2023/MultiNER-Health_truth_FT.txt",
                *_ROCLING2023,
                checksum="cda3d77384a04e22c80b759689b5a31fba817ffbdd03634192fa629676e9ad3f",
                content="2,035 sentences with gold",
                size=1_210_727,
            ),
            CorpusFile(
                "rocling2023/MultiNER-Health_truth_SM.txt",
                *_ROCLING2023,
                checksum="f38865e250242ad6b25a7ca688add6fd58dffc2d20d1258cfeb5574e004ffbaa",
                content="2,208 sentences with gold",
            ),
            CorpusFile(
                "rocling2023/MultiNER-Health_truth_WA.txt",
                *_ROCLING2023,
                checksum="2bf102b581e2a240c3c4ae1fdf8fada15c99badc818dfe07e29ad96ea7cd8f8f",
                content="2,381 sentences with gold",
                size=804_370,
            ),
            CorpusFile(
                "rocling2023/MultiNER-Health_test_FT.txt",
                *_ROCLING2023,
                checksum="d251fec7e2c4a942e5a3890e496bb54e5b208c6b62a8950d9b2f8169337846eb",
                content="the FT sentences without gold",
                size=750_147,
            ),
            CorpusFile(
                "rocling2023/MultiNER-Health_test_SM.txt",
                *_ROCLING2023,
                checksum="79dd2c3d75d6870bd9872d2aeae485306d55dfdaeb2192c6b93d647340b3513e",
                content="the SM sentences without gold",
                size=481_009,
            ),
            CorpusFile(
                "rocling2023/MultiNER-Health_test_WA.txt",
                *_ROCLING2023,
                checksum="8304fc44c219cec453de02305a0bde14f588af3b6f4f746e722adc11db020c08",
                content="the WA sentences without gold",
                size=467_214,
            ),
        ),
        citation=(
            "Lung-Hao Lee, Tzu-Mi Lin and Chao-Yi Chen. 2023. Overview of the ROCLING 2023 shared "
            "task for Chinese multi-genre named entity recognition in the healthcare domain. In "
            "Proceedings of the 35th Conference on Computational Linguistics and Speech "
            "Processing, pp. 333-338."
        ),
    ),
)
"""Every corpus that can be fetched, in the order of publication."""


def named_corpora(names: Sequence[str]) -> tuple[Corpus, ...]:
    """The corpora of these names, each once, in catalogue order; all of them for no names.

    Raises InputError for a name that the catalogue does not have.
    """
    known = [corpus.name for corpus in CORPORA]
    for name in names:
        if name not in known:
            near = get_close_matches(name.lower(), known, n=1)
            raise InputError(
                f"no corpus '{name}'"
                + (f"; did you mean '{near[0]}'?" if near else ";")
                + f" The corpora are: {', '.join(known)}"
            )
    return tuple(corpus for corpus in CORPORA if not names or corpus.name in names)
