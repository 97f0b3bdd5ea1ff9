"""Pages of Airflow's UI, and what users do there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.sync_api import Locator, Page

TYPE = "SMTP Connection Manager"
STANDARD = "Standard Fields"


class ConnectionList:
    """Admin > Connections."""

    def __init__(self, page: Page) -> None:
        self._page = page
        page.goto("/connections")

    def row(self, conn_id: str) -> Locator:
        """Return the row of a connection."""
        return self._page.get_by_role("row").filter(has=self._page.get_by_role("cell", name=conn_id, exact=True))

    def add(self, conn_id: str) -> ConnectionForm:
        """Open the form for a new connection."""
        self._page.get_by_role("button", name="Add Connection").click()
        form = ConnectionForm(self._page)
        form.dialog.get_by_label("Connection ID").fill(conn_id)
        form.dialog.get_by_label("Connection Type").fill(TYPE)
        self._page.get_by_role("option", name=TYPE, exact=True).click()
        expect(form.section(STANDARD)).to_be_visible()
        return form

    def edit(self, conn_id: str) -> ConnectionForm:
        """Open the form of a connection."""
        self.row(conn_id).get_by_role("button", name="Edit Connection").click()
        form = ConnectionForm(self._page)
        expect(form.section(STANDARD)).to_be_visible()
        return form

    def test(self, conn_id: str) -> Locator:
        """Press "Test connection"; return the notification with the result."""
        button = self.row(conn_id).get_by_role("button", name="Test Connection")
        button.focus()
        # A notification appears in this corner. It stays as long as the pointer is on it, and else for two seconds.
        size = self._page.viewport_size
        assert size
        self._page.mouse.move(size["width"] - 100, size["height"] - 40)
        button.press("Enter")
        notification = self._page.get_by_role("status").filter(has_text="Test Connection")
        expect(notification).to_be_visible()
        return notification


class ConnectionForm:
    """The dialog in which a connection is added or edited; one section is open at a time."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.dialog = page.get_by_role("dialog")

    def sections(self) -> list[str]:
        """Return the names of the sections, in order."""
        return self.dialog.locator("[data-part=item-trigger]").all_inner_texts()

    def section(self, name: str) -> Locator:
        """Return a section. It has no accessible name, because Airflow uses the name as an id, with its spaces."""
        trigger = self._page.get_by_role("button", name=name, exact=True)
        return self.dialog.locator("[data-part=item]").filter(has=trigger).locator("[data-part=item-content]")

    def open(self, name: str) -> Locator:
        """Open a section and return it."""
        trigger = self.dialog.get_by_role("button", name=name, exact=True)
        if trigger.get_attribute("aria-expanded") == "false":
            trigger.click()
        section = self.section(name)
        expect(section).to_be_visible()
        return section

    def labels(self, section: str) -> list[str]:
        """Return the labels of a section's fields, in order."""
        return [text.strip() for text in self.open(section).locator("[data-part=label]:visible").all_inner_texts()]

    def field(self, section: str, label: str) -> Field:
        """Open the section of a field, and return the field."""
        exactly = self._page.locator("label", has_text=re.compile(rf"^\s*{re.escape(label)}\s*$"))
        return Field(self._page, self.open(section).get_by_role("group").filter(has=exactly))

    def fill(self, section: str, values: Mapping[str, str | bool]) -> None:
        """Fill in fields of a section by their labels."""
        for label, value in values.items():
            self.field(section, label).fill(value)

    def save(self) -> None:
        """Save the connection, and check that the dialog closes."""
        self.dialog.get_by_role("button", name="Save").click()
        expect(self.dialog).not_to_be_visible()

    def close(self) -> None:
        """Close the dialog without saving."""
        self.dialog.get_by_role("button", name="Close").click()
        expect(self.dialog).not_to_be_visible()


class Field:
    """A field of the form: its label, its widget and its help text."""

    def __init__(self, page: Page, group: Locator) -> None:
        self._page = page
        self.group = group
        self.help = group.locator("[data-part=helper-text]")
        self._switch = group.get_by_role("checkbox")
        self._drop_down = group.get_by_role("combobox")
        self.text = group.locator("input, textarea")

    def fill(self, value: str | bool) -> None:  # noqa: FBT001 - it is what the switch shows
        """Type or choose the value."""
        if isinstance(value, bool):
            if self._switch.is_checked() != value:
                self.group.locator("[data-scope=switch][data-part=root]").click()
        elif self._drop_down.count():
            self._drop_down.click()
            self._page.get_by_role("option", name=value, exact=True).click()
        else:
            self.text.fill(value)

    def lines_of_label(self) -> int:
        """Return the number of lines of the label."""
        tops = """label => {
            const text = document.createRange();
            text.selectNodeContents(label);
            return Array.from(text.getClientRects(), box => box.top);
        }"""
        return len(set(self.group.locator("[data-scope=field][data-part=label]").evaluate(tops)))

    def value(self) -> str | bool:
        """Return the value in the form."""
        if self._switch.count():
            return self._switch.is_checked()
        if self._drop_down.count():
            return self.group.locator("[id^=element_]").inner_text().strip()
        return self.text.input_value()
