import os

from shop.settings import get_bool as flag

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

QUIET = flag("QUIET", False)


def application(environ, start_response):
    path = environ["PATH_INFO"]
    query = environ.get("QUERY_STRING", "")
    return path, query
