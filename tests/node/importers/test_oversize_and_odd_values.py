"""What could not be kept is refused before a row of the file is written."""

import pytest

from node.errors import InputError
from node.importers.documents import document_of
from node.importers.jsonl import JsonlImporter
from node.importers.plan import TEXT_BYTES_MAX
from node.schemas import CORE_COMPONENTS


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"content":"x","metadata":{"a":NaN}}', id="NaN"),
        pytest.param(b'{"content":"x","importance":' + b"1" * 5000 + b"}", id="a number of 5,000 digits"),
        pytest.param(b'{"content":"' + b"x" * (TEXT_BYTES_MAX + 1) + b'"}', id="a text that fits no batch"),
    ],
)
def test_a_line_that_cannot_be_kept_is_named_and_nothing_is_imported(line: bytes) -> None:
    with pytest.raises(InputError, match=r"line 2.*Nothing was imported"):
        JsonlImporter(CORE_COMPONENTS).read(document_of(b'{"content":"good"}\n' + line, "file.jsonl"))
