"""The items' changes are captured."""

from events.crash_matrix.models import Item
from isthmus.objects.registry import expose

expose(Item, api_name="History_Item__c", fields={"Sequence__c": "sequence"}, track_changes=True)
