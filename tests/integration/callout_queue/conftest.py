"""What the tests of queued callouts share: the misbehaving server, and a named credential that leads to it."""

from tests.integration.callouts.conftest import bank as bank
from tests.integration.callouts.conftest import oauth_bank as oauth_bank
from tests.integration.callouts.conftest import open_door as open_door
from tests.integration.callouts.conftest import server as server
