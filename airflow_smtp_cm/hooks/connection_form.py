"""The connection form for Airflow below 3.2, which gets it from the hook and not from the provider's metadata."""

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
    """Return the result for a hook's ``get_ui_field_behaviour``: how the standard fields are shown."""
    return {
        "hidden_fields": list(HIDDEN_FIELDS),
        "relabeling": dict(RELABELING),
        "placeholders": dict(PLACEHOLDERS),
    }


def connection_form_widgets() -> dict[str, Any]:
    """Return the result for a hook's ``get_connection_form_widgets``: WTForms' fields by the extra's keys.

    Raises:
        ImportError: WTForms is not installed; every Airflow that calls this has it.
    """
    return {item.name: _field(item) for item in CONNECTION_FIELDS}


def _field(item: ConnectionField) -> Any:
    # Airflow accepts only these two, IntegerField and BooleanField. 3.0 and 3.1 replace WTForms' modules by their
    # own, which support only these arguments and these ways to import them.
    from wtforms import PasswordField, StringField, widgets  # type: ignore[import-untyped]  # noqa: PLC0415
    from wtforms.validators import Optional, any_of  # type: ignore[import-untyped]  # noqa: PLC0415

    if item.secret:
        return PasswordField(item.label, description=item.description, widget=_secret)
    choices = {choice.value: label for choice, label in item.choices.items()}
    default = item.default
    if item.type == "boolean":
        # For a BooleanField, Airflow's "Test" sends "y" if it is on, and nothing if it is off.
        choices = _SWITCH
        default = "true" if item.default else "false"
    if not choices:
        text = partial(widgets.TextInput(), class_=_CSS_CLASS)
        return StringField(item.label, description=item.description, default=default, widget=text)
    return StringField(
        item.label,
        # Airflow validates the fields of all connection types, but the form sends only those of one.
        validators=[Optional(), any_of(list(choices))],
        description=item.description,
        default=default,
        widget=_drop_down(choices),
    )


def _drop_down(choices: Mapping[str, str]) -> Callable[..., Markup]:
    from markupsafe import Markup  # noqa: PLC0415 - installed with WTForms

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
    """Render a password field; a stored password as Airflow's placeholder, which keeps it, whereas "" removes it."""
    from airflow.www.views import SENSITIVE_FIELD_PLACEHOLDER  # type: ignore[import-not-found]  # noqa: PLC0415
    from wtforms.widgets import PasswordInput  # type: ignore[import-untyped]  # noqa: PLC0415

    typed = field.raw_data is not None
    value = SENSITIVE_FIELD_PLACEHOLDER if field.data and not typed else field.data or ""
    return PasswordInput(hide_value=False)(field, value=value, class_=_CSS_CLASS, **attributes)
