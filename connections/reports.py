"""What an error report may contain: never a key, a token, a password or a body, whichever view was running.

Django asks this filter for every report, also while DEBUG is on.
"""

import re
from typing import Any

from django.http import HttpRequest, QueryDict
from django.views.debug import SafeExceptionReporterFilter

SECRET = re.compile(
    r"key|token|secret|password|code|authorization|signature|cookie|^t$|^body$|sealed|clear", re.IGNORECASE
)


class ReportFilter(SafeExceptionReporterFilter):
    """Hides by name, beside what views and functions have marked as sensitive."""

    hidden_settings = re.compile(
        SafeExceptionReporterFilter.hidden_settings.pattern + "|FIELD_KEYS|FINGERPRINT|DATABASE|EMAIL|REDIS",
        re.IGNORECASE,
    )

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        given = super().get_post_parameters(request)
        if not isinstance(given, QueryDict):
            return given
        kept = given.copy()
        for name in kept:
            if SECRET.search(name):
                kept[name] = self.cleansed_substitute
        return kept

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: Any) -> Any:
        variables = super().get_traceback_frame_variables(request, tb_frame)
        return [(name, self.cleansed_substitute if SECRET.search(name) else value) for name, value in variables]
