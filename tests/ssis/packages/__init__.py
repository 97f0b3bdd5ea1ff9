"""Packages and projects of invented companies, as the designers of SQL Server 2005 to 2019 write them.

- ``nightly_sales``: a project of SQL Server 2019 (format 8)
- ``finance_2005``, ``finance_2008``, ``people_2012``, ``stock_2019``: packages of formats 2, 3, 6 and 8
- ``tickets_2005``, ``tickets_2022``: packages of formats 2 and 8 with the same loops over known items, conditions in
  event handlers, and a package that runs another
- ``odd``: encrypted in part or as a whole
"""

from pathlib import Path

HERE = Path(__file__).parent
NIGHTLY_SALES = HERE / "nightly_sales"
CHECK_FEEDS = HERE / "finance_2005" / "CheckFeeds.dtsx"
MONTH_END = HERE / "finance_2008" / "MonthEnd.dtsx"
JOINERS = HERE / "people_2012" / "Joiners.dtsx"
INVENTORY = HERE / "stock_2019" / "Inventory.dtsx"
TICKETS_2005 = HERE / "tickets_2005"
TICKETS_2022 = HERE / "tickets_2022"
ODD = HERE / "odd"
PACKAGES = [*sorted(NIGHTLY_SALES.glob("*.dtsx")), CHECK_FEEDS, MONTH_END, JOINERS, INVENTORY]
PACKAGES += [*sorted(TICKETS_2005.glob("*.dtsx")), *sorted(TICKETS_2022.glob("*.dtsx"))]
