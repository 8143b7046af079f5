"""What other rooms use of `report`."""

from .analysis.analysis import write_analysis as write_analysis
from .formats import check_formats as check_formats
from .leaderboard.rows import DEFAULT_GROUPS as DEFAULT_GROUPS
from .leaderboard.write import (
    Leaderboard as Leaderboard,
    counted as counted,
    write_leaderboard as write_leaderboard,
)
from .pages.audit_page import write_audit_page as write_audit_page
from .pages.comparison_page import Side as Side, write_comparison_page as write_comparison_page
from .pages.document import TYPE_COLOURS as TYPE_COLOURS, plain as plain
from .pages.page import write_page as write_page
from .words import (
    LANGUAGES as LANGUAGES,
    check_language as check_language,
    padded as padded,
    say as say,
    speaking as speaking,
)
