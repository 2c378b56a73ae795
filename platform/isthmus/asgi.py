"""The web process's door (ASGI)."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isthmus.settings")
application = get_asgi_application()
