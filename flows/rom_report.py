"""The report of a reduced model: one HTML file that holds its figures."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import final

__all__ = ["ReportFigure", "Table", "page"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff;
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .3rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .6rem 0; }
caption { text-align: left; color: #57606a; padding-bottom: .3rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #d8dee4;
         vertical-align: top; font-variant-numeric: tabular-nums; }
figure { margin: 1.2rem 0; } img { max-width: 100%; height: auto; }
figcaption { color: #57606a; } .wide { overflow-x: auto; }
.met { color: #116329; font-weight: 600; } .missed { color: #a40e26; font-weight: 600; }
@media (prefers-color-scheme: dark) {
  body { background: #0d1117; color: #e6edf3; } th, td { border-color: #30363d; }
  caption, figcaption { color: #9198a1; } img { background: #fff; }
  .met { color: #3fb950; } .missed { color: #ff7b72; } a { color: #4493f8; } }
"""


@final
@dataclass(frozen=True)
class Table:
    """Rows of a section.

    Attributes
    ----------
    heading : of the section
    columns : heads; none: the first cell of each row is its head
    rows : texts; ``met`` and ``missed`` are coloured
    note : a sentence above the table
    """

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@final
@dataclass(frozen=True)
class ReportFigure:
    """A picture of the report.

    Attributes
    ----------
    file : PNG
    heading : of its section
    caption : what it shows, also for those who cannot see it
    """

    file: Path
    heading: str
    caption: str


def page(title: str, sentence: str, parts: Sequence[Table | ReportFigure]) -> str:
    """Return the HTML text of a report; it needs no other file.

    Parameters
    ----------
    title : of the page
    sentence : below it
    parts : in their order; those with equal headings behind each other share it

    Raises
    ------
    OSError
        If a picture cannot be read.
    """
    body, heading = [], ""
    for part in parts:
        if part.heading != heading:
            heading = part.heading
            body.append(f"<h2>{escape(heading)}</h2>")
        body.append(_table(part) if isinstance(part, Table) else _figure(part))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(sentence)}</p>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _figure(part: ReportFigure) -> str:
    data = base64.b64encode(part.file.read_bytes()).decode()
    caption = escape(part.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _table(part: Table) -> str:
    note = f"<p>{escape(part.note)}</p>" if part.note else ""
    heads = "".join(f'<th scope="col">{escape(text)}</th>' for text in part.columns)
    head = f"<thead><tr>{heads}</tr></thead>" if part.columns else ""
    rows = "".join(f"<tr>{_cells(row, bool(part.columns))}</tr>" for row in part.rows)
    return f'{note}<div class="wide"><table>{head}<tbody>{rows}</tbody></table></div>'


def _cells(row: tuple[str, ...], headed: bool) -> str:
    cells = [_cell(text) for text in row]
    if not headed:
        cells[0] = f'<th scope="row">{escape(row[0])}</th>'
    return "".join(cells)


def _cell(text: str) -> str:
    style = f' class="{text}"' if text in ("met", "missed") else ""
    return f"<td{style}>{escape(text)}</td>"
