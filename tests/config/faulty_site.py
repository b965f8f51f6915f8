"""What granian serves in `test_observing`: the whole site, and one page more that breaks with a person in its hands."""

from django.urls import get_resolver, path
from django.views.decorators.csrf import csrf_exempt

from config import wsgi


@csrf_exempt
def fault(request, person):
    """Ends as a careless fault of ours would: the person is in the words, in a variable and in the address."""
    looked_for = {"email": person}
    raise KeyError(f"nobody called {looked_for['email']}")


get_resolver().url_patterns.insert(0, path("fault/<str:person>/", fault, name="fault"))
application = wsgi.application
