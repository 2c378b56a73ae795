"""The web process's door (WSGI)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isthmus.settings")
application = get_wsgi_application()

from isthmus.vault.key_checks import refuse_wrong_keys  # noqa: E402 - needs the apps, which are loaded only now

refuse_wrong_keys()
