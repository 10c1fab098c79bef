"""What journals ask for, as files to paste: Markdown with tables, and the flow of films as a vector picture."""

from __future__ import annotations

from pathlib import Path

from hilum.evaluation.journal.sections import journal
from hilum.evaluation.report.document import Beside, Document, Plots
from hilum.evaluation.report.markdown import write_markdown
from hilum.system.files import write_whole


def save_journal(document: Document, folder: Path) -> None:
    """journal.md with its pictures, and flow.svg."""
    kept = journal(document)
    write_markdown(kept, folder, "journal.md")
    for section in kept.sections:
        for block in section.blocks:
            columns = block.columns if isinstance(block, Beside) else []
            for part in (part for column in columns for part in column if isinstance(part, Plots)):
                for plot in part.plots:
                    if plot.name == "flow":
                        write_whole(folder / "flow.svg", plot.svg_file())
