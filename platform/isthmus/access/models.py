"""Who may do what: permission sets and their grants, whom they are assigned to, and the programs that call us."""

from django.conf import settings
from django.db import models
from oauth2_provider.models import AbstractApplication

__all__ = ["ApiClient", "Grant", "PermissionSet", "PermissionSetAssignment"]


class PermissionSet(models.Model):
    """A named bundle of grants. What no permission set of a user grants is refused."""

    name = models.SlugField(max_length=80, unique=True, help_text="Stable API name, such as `Mortgage_Desk`.")
    label = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    users: "models.ManyToManyField[models.Model, PermissionSetAssignment]" = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="PermissionSetAssignment", related_name="permission_sets"
    )

    class Meta:
        ordering = ["label", "name"]

    def __str__(self) -> str:
        return self.label or self.name


class Grant(models.Model):
    """One thing that a permission set allows: `action` on `target`, a thing of `kind`."""

    permission_set = models.ForeignKey(PermissionSet, on_delete=models.CASCADE, related_name="grants")
    kind = models.CharField(max_length=40)
    action = models.CharField(max_length=40)
    target = models.CharField(max_length=255)

    class Meta:
        ordering = ["kind", "target", "action"]
        constraints = [
            models.UniqueConstraint(fields=["permission_set", "kind", "target", "action"], name="grant_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}.{self.action} {self.target}"


class PermissionSetAssignment(models.Model):
    """A user holds a permission set."""

    permission_set = models.ForeignKey(PermissionSet, on_delete=models.CASCADE, related_name="assignments")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="permission_set_assignments"
    )
    assigned_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["permission_set", "user"], name="permission_set_assigned_once"),
        ]

    def __str__(self) -> str:
        return f"{self.permission_set} → {self.user}"


class ApiClient(AbstractApplication):
    """A program that calls the API on its own; what it does, it does as its run-as user (`user`)."""

    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta(AbstractApplication.Meta):
        verbose_name = "API client"
        verbose_name_plural = "API clients"
