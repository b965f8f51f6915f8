"""No request brings more than our pages can use: what grows too large is refused while it comes in.

Before every other upload handler of Django's, which would keep it all first.
"""

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

MOST_BYTES = 60_000_000  # of all files of a request; the pages themselves say what they take


class BoundedUpload(FileUploadHandler):
    """Counts, and passes everything on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.left = MOST_BYTES

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self.left -= len(raw_data)
        if self.left < 0:
            raise RequestDataTooBig(f"An upload has at most {MOST_BYTES // 1_000_000} MB.")
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None
