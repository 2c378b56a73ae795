"""Events that the platform itself publishes."""

from events.definitions import PlatformEvent, Text

__all__ = ["CredentialConnectionFailed"]


class CredentialConnectionFailed(PlatformEvent):
    """A principal, or one user's identity at it, cannot be used any more: somebody must connect it again."""

    api_name = "Credential_Connection_Failed__e"
    principal = Text("Principal__c", length=161, required=True)
    username = Text("Username__c", length=150)
    error_code = Text("Error_Code__c", length=80, required=True)
    reason = Text("Reason__c", length=255)
