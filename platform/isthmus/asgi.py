"""The web process's door (ASGI)."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isthmus.settings")
# WhiteNoise hands its files over as ordinary iterators, which Django reads whole: right for files as small as ours.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
_django = get_asgi_application()

from isthmus.doors import behind_doors  # noqa: E402 - apps register their doors when Django is set up
from isthmus.vault.key_checks import refuse_wrong_keys  # noqa: E402 - needs the apps, which are loaded only now

# In a thread: servers import this where an event loop runs, and there Django lets nobody ask the database.
with ThreadPoolExecutor(max_workers=1) as _thread:
    _thread.submit(refuse_wrong_keys).result()

application = behind_doors(_django)  # type: ignore[arg-type]  # Django asks for a dict, which is what servers give
