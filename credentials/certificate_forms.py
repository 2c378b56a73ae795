"""Forms in which a certificate is uploaded or made. Keys and passphrases go in through them and never come out."""

from typing import Any, ClassVar

from django import forms
from django.views.decorators.debug import sensitive_variables
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from credentials import certificate_actions
from credentials.certificates import KEY_TYPES
from credentials.errors import CredentialRefused
from credentials.models import Certificate

__all__ = ["AddCertificateForm", "ReplaceCertificateForm"]

_HOW = (
    ("pem", "Upload PEM texts"),
    ("pkcs12", "Upload a PKCS#12 file (.p12, .pfx)"),
    ("self_signed", "Make a self-signed one"),
    ("signing_request", "Make a key and a signing request"),
)
_MAXIMUM_FILE = 100_000


class _UploadForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Inputs that bring a certificate with its key."""

    uploaded_certificate = forms.CharField(
        label="Certificate (PEM)",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5}),
        help_text="With the certificates that lead to its authority.",
    )
    uploaded_key = forms.CharField(
        label="Private key (PEM)",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5, "autocomplete": "off", "spellcheck": "false"}),
    )
    pkcs12_file = forms.FileField(label="PKCS#12 file", required=False, widget=UnfoldAdminFileFieldWidget())
    passphrase = forms.CharField(
        label="Passphrase",
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False),
        help_text="Of the encrypted key or file; it is not kept.",
    )
    inputs: ClassVar[tuple[str, ...]] = ("uploaded_certificate", "uploaded_key", "pkcs12_file", "passphrase")
    made: Certificate | None = None

    class Meta:
        model = Certificate
        fields = ("name", "label")

    def carry_out(self) -> Certificate | None:
        """Return what was made or replaced; `None` when only the label changes."""
        return self.made

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        """Do it: whether key and certificate fit shows only when they are read."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        try:
            self.made = self._do(cleaned)
        except CredentialRefused as error:
            self.add_error(None, error.message)
        return cleaned

    def _do(self, cleaned: dict[str, Any]) -> Certificate | None:
        raise NotImplementedError(f"{type(self).__name__} does not say what to do.")

    @sensitive_variables()
    def _uploaded(self, name: str, cleaned: dict[str, Any]) -> Certificate:
        label = cleaned.get("label", "")
        file = cleaned.get("pkcs12_file")
        if file:
            data = file.read(_MAXIMUM_FILE + 1)[:_MAXIMUM_FILE]
            return certificate_actions.import_pkcs12(name, data=data, passphrase=cleaned["passphrase"], label=label)
        return certificate_actions.import_pem(
            name,
            certificate_pem=cleaned["uploaded_certificate"],
            private_key_pem=cleaned["uploaded_key"],
            passphrase=cleaned["passphrase"],
            label=label,
        )


class AddCertificateForm(_UploadForm):
    """Uploads a certificate or makes one."""

    how = forms.ChoiceField(label="How", choices=_HOW, widget=UnfoldAdminSelectWidget())
    common_name = forms.CharField(
        label="Common name", required=False, max_length=64, widget=UnfoldAdminTextInputWidget(), help_text="Who we are."
    )
    organisation = forms.CharField(
        label="Organisation", required=False, max_length=64, widget=UnfoldAdminTextInputWidget()
    )
    key_type_choice = forms.ChoiceField(
        label="Key", required=False, choices=list(KEY_TYPES.items()), widget=UnfoldAdminSelectWidget()
    )
    days = forms.IntegerField(
        label="Days", required=False, initial=365, min_value=1, max_value=3650, widget=UnfoldAdminIntegerFieldWidget()
    )
    inputs = (*_UploadForm.inputs, "common_name", "organisation", "key_type_choice", "days")

    def _do(self, cleaned: dict[str, Any]) -> Certificate:
        name, label = cleaned["name"], cleaned.get("label", "")
        made = {"common_name": cleaned["common_name"], "key_type": cleaned["key_type_choice"] or "rsa-2048"}
        if cleaned["how"] == "self_signed":
            return certificate_actions.generate_self_signed(name, days=cleaned["days"] or 365, label=label, **made)
        if cleaned["how"] == "signing_request":
            return certificate_actions.begin_signing_request(
                name, organisation=cleaned["organisation"], label=label, **made
            )
        return self._uploaded(name, cleaned)


class ReplaceCertificateForm(_UploadForm):
    """Changes the label; replaces the certificate where a new one is given."""

    class Meta:
        model = Certificate
        fields = ("label",)

    def _do(self, cleaned: dict[str, Any]) -> Certificate | None:
        name = self.instance.name
        if self.instance.signing_request_pem and cleaned["uploaded_certificate"] and not cleaned["uploaded_key"]:
            return certificate_actions.finish_signing_request(name, certificate_pem=cleaned["uploaded_certificate"])
        if cleaned["uploaded_certificate"] or cleaned["pkcs12_file"]:
            return self._uploaded(name, cleaned)
        return None
