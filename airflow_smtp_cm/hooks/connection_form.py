"""The connection form for Airflow below 3.2, which asks the hook for it and does not read the provider's metadata."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.connection_manager.fields import CONNECTION_FIELDS, HIDDEN_FIELDS, PLACEHOLDERS, RELABELING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from markupsafe import Markup

    from airflow_smtp_cm.connection_manager.fields import ConnectionField

_CSS_CLASS = "form-control"
_SWITCH = {"true": "On", "false": "Off"}


def ui_field_behaviour() -> dict[str, Any]:
    """Return what a hook's ``get_ui_field_behaviour`` is to return: how the standard fields are shown."""
    return {
        "hidden_fields": list(HIDDEN_FIELDS),
        "relabeling": dict(RELABELING),
        "placeholders": dict(PLACEHOLDERS),
    }


def connection_form_widgets() -> dict[str, Any]:
    """Return what a hook's ``get_connection_form_widgets`` is to return: WTForms' fields by the extra's keys.

    Raises:
        ImportError: WTForms is missing; an Airflow that asks has it.
    """
    return {item.name: _field(item) for item in CONNECTION_FIELDS}


def _field(item: ConnectionField) -> Any:
    # Airflow takes these two, IntegerField and BooleanField only. 3.0 and 3.1 put their own in the place of WTForms',
    # which know these arguments and these ways to import them only.
    from wtforms import PasswordField, StringField, widgets  # type: ignore[import-untyped]  # noqa: PLC0415
    from wtforms.validators import Optional, any_of  # type: ignore[import-untyped]  # noqa: PLC0415

    if item.secret:
        return PasswordField(item.label, description=item.description, widget=_secret)
    choices = {choice.value: label for choice, label in item.choices.items()}
    default = item.default
    if item.type == "boolean":
        # Of a BooleanField, Airflow's "Test" sends "y" if it is on, and nothing if it is off.
        choices = _SWITCH
        default = "true" if item.default else "false"
    if not choices:
        text = partial(widgets.TextInput(), class_=_CSS_CLASS)
        return StringField(item.label, description=item.description, default=default, widget=text)
    return StringField(
        item.label,
        # Airflow validates the fields of all connection types; those of others are missing from what the form sends.
        validators=[Optional(), any_of(list(choices))],
        description=item.description,
        default=default,
        widget=_drop_down(choices),
    )


def _drop_down(choices: Mapping[str, str]) -> Callable[..., Markup]:
    from markupsafe import Markup  # noqa: PLC0415 - comes with WTForms

    option = Markup('<option value="{}">{}</option>')
    chosen = Markup('<option value="{}" selected>{}</option>')

    def render(field: Any, **_attributes: object) -> Markup:
        current = str(field.data).lower()  # true in JSON is True here
        options = [(chosen if value == current else option).format(value, label) for value, label in choices.items()]
        return Markup('<select class="{0}" id="{1}" name="{1}">{2}</select>').format(
            _CSS_CLASS, field.id, Markup().join(options)
        )

    return render


def _secret(field: Any, **attributes: object) -> Any:
    """Render a password; one that is stored as what means to Airflow that it stays, as "" means that it goes."""
    from airflow.www.views import SENSITIVE_FIELD_PLACEHOLDER  # type: ignore[import-not-found]  # noqa: PLC0415
    from wtforms.widgets import PasswordInput  # type: ignore[import-untyped]  # noqa: PLC0415

    typed = field.raw_data is not None
    value = SENSITIVE_FIELD_PLACEHOLDER if field.data and not typed else field.data or ""
    return PasswordInput(hide_value=False)(field, value=value, class_=_CSS_CLASS, **attributes)
