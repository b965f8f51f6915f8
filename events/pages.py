"""The addresses of this floor's pages inside the shell; their names are `admin:…`.

The shell asks for them; templates and other floors know the names only.
"""

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

from events import history_upload, receive


def pages(site: AdminSite) -> list[URLPattern]:
    """Every page, behind the shell's own door."""
    views = (
        ("receive/", receive.receive, "receive"),
        ("receive/history/", history_upload.import_history, "history_import"),
        ("receive/<slug:slug>/sources/add/", receive.add_source, "source_add"),
        ("receive/sources/<int:pk>/keys/add/", receive.add_key, "key_add"),
        ("receive/keys/<int:pk>/rotate/", receive.rotate_key, "key_rotate"),
        ("receive/keys/<int:pk>/revoke/", receive.revoke_key, "key_revoke"),
        ("receive/refusals/<int:pk>/resubmit/", receive.resubmit, "refusal_resubmit"),
        ("receive/refusals/<int:pk>/body.txt", receive.refused_body, "refusal_body"),
        ("receive/held/<int:pk>/", receive.judge_held, "held_judge"),
    )
    return [path(route, site.admin_view(view), name=name) for route, view, name in views]
