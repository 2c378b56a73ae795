"""What the tests of external services share: the two mortgage services, and a caller who may use them."""

from tests.service_fixtures import approve, bank_door, mortgages, submitted, teller
from tests.service_fixtures import bank as bank

__all__ = ["approve", "bank", "bank_door", "mortgages", "submitted", "teller"]
