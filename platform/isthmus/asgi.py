"""The web process's door (ASGI)."""

import os
import warnings

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isthmus.settings")
# WhiteNoise hands its files over as ordinary iterators, which Django reads whole: right for files as small as ours.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
application = get_asgi_application()
