"""The provider's metadata for Airflow: the connection type with its form, hook, operator, notifier and commands.

Airflow imports this module whenever it starts, so it must not import anything slow.
"""

from __future__ import annotations

from typing import Any

from airflow_smtp_cm.connection_manager.fields import (
    CONNECTION_FIELDS,
    CONNECTION_TYPE,
    HIDDEN_FIELDS,
    PLACEHOLDERS,
    RELABELING,
    ConnectionField,
)

_INTEGRATION = "SMTP connection manager (SSIS)"
_SSIS_PAGE = "https://learn.microsoft.com/sql/integration-services/connection-manager/smtp-connection-manager"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata (Airflow's ``provider_info.schema.json``)."""
    return {
        "package-name": "airflow-smtp-cm",
        "name": _INTEGRATION,
        "description": "SSIS's SMTP connection manager and Send Mail task: mail through servers that only accept "
        "Windows authentication.",
        "integrations": [{"integration-name": _INTEGRATION, "external-doc-url": _SSIS_PAGE, "tags": ["protocol"]}],
        "operators": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_smtp_cm.operators.send_mail"]}],
        "hooks": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_smtp_cm.hooks.smtp_cm"]}],
        "notifications": ["airflow_smtp_cm.notifications.send_mail.SendMailNotifier"],
        "email-backends": ["airflow_smtp_cm.email_backend.send_email"],
        "task-decorators": [
            {"name": "send_mail", "class-name": "airflow_smtp_cm.decorators.send_mail.send_mail_task"}
        ],
        "cli": ["airflow_smtp_cm.cli.get_cli_commands"],
        "config": {
            "smtp_cm": {
                "description": "Restrictions on all mail of this deployment, and its house style, for every DAG.",
                "options": {
                    "redirect_all_to": _option(
                        "Addresses that get every message instead of its recipients, as in a staging environment. "
                        "The original recipients are in the subject and in the headers X-Original-To, X-Original-Cc "
                        "and X-Original-Bcc.",
                        example="staging@example.com",
                    ),
                    "allowed_recipient_domains": _option(
                        "Domains to which mail may be sent, redirected or not; a message to any other domain is an "
                        "error before anything is sent. Empty: any domain.",
                        example="example.com, example.org",
                    ),
                    "default_from": _option(
                        "The sender of messages if neither the task nor the connection has one.",
                        example="Airflow <airflow@example.com>",
                    ),
                    "subject_prefix": _option(
                        "The text before every subject, unless a task sets house_style=False.",
                        example="[Airflow]",
                    ),
                    "html_template": _option(
                        "Path of a Jinja file with a block named content, which is put around every HTML body, "
                        "unless a task sets house_style=False.",
                        example="/opt/airflow/mail/house.html",
                    ),
                },
            }
        },
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": "airflow_smtp_cm.hooks.smtp_cm.SmtpCmHook",
                "hook-name": "SMTP Connection Manager",
                "ui-field-behaviour": {
                    "hidden-fields": list(HIDDEN_FIELDS),
                    "relabeling": dict(RELABELING),
                    "placeholders": dict(PLACEHOLDERS),
                },
                "conn-fields": {item.name: _conn_field(item) for item in CONNECTION_FIELDS},
            }
        ],
    }


def _option(description: str, *, example: str) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": "string",
        "example": example,
        "default": "",
    }


def _conn_field(item: ConnectionField) -> dict[str, Any]:
    # Without "null" the form requires the field.
    schema: dict[str, Any] = {"type": [item.type, "null"]}
    if item.default is not None:
        schema["default"] = item.default
    if item.choices:
        labels = {choice.value: label for choice, label in item.choices.items()}
        schema |= {"enum": list(labels), "values_display": labels}
    if item.type == "number":
        schema |= {"minimum": item.minimum, "maximum": item.maximum}
    if item.secret:
        schema["format"] = "password"
    if item.section:
        schema["section"] = item.section
    return {"label": item.label, "description": item.description, "schema": schema}
