"""The speed at which SSIS packages are read and converted: `python -m benchmarks.ssis_reader [MB [PACKAGES]]`.

The first packages are those of the tests, extended with data flow to the given size. The others are control flow:
copies of the packages of the tests, each with its own addresses, until there are as many as given. The time is
CPU time.
"""

import resource
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import airflow.sdk  # noqa: F401 - the first connection imports it; that is not measured

from airflow_smtp_cm.ssis.importer import Importer
from airflow_smtp_cm.ssis.model import Project
from airflow_smtp_cm.ssis.reading.reader import find_files, read

PACKAGES = Path(__file__).parents[1] / "tests" / "ssis" / "packages"
#: A data flow component in the syntax of formats 2, 3 and 6, and in that of format 8.
COMPONENTS = {
    "finance_2008/MonthEnd.dtsx": """<component id="{n}" name="Lookup {n}" componentClassID="{{27648839}}">
<properties><property id="{n}" name="SqlCommand" dataType="System.String" state="default" isArray="false"
expressionType="None">SELECT * FROM dbo.Article</property></properties><inputs>
<input id="{n}" name="In" errorOrTruncationOperation="Lookup"><inputColumns>
<inputColumn id="{n}" name="" lineageId="{n}" usageType="readOnly" errorRowDisposition="NotUsed"/>
</inputColumns></input></inputs></component>""",
    "nightly_sales/LoadSales.dtsx": """
            <component
              refId="Package\\For each shop\\Load file\\Lookup {n}"
              componentClassID="Microsoft.Lookup"
              name="Lookup {n}"
              usesDispositions="true">
              <properties>
                <property
                  dataType="System.String"
                  description="The SQL statement that fills the lookup cache."
                  name="SqlCommand">SELECT * FROM dbo.Article</property>
              </properties>
              <outputColumns>
                <outputColumn
                  refId="Package\\For each shop\\Load file\\Lookup {n}.Outputs[Match].Columns[Article]"
                  dataType="wstr"
                  length="200"
                  lineageId="Package\\For each shop\\Load file\\Lookup {n}.Outputs[Match].Columns[Article]"
                  name="Article" />
              </outputColumns>
            </component>""",
}


#: The folders whose packages are copied; each copy of all of them has twelve packages.
FOLDERS = (
    "nightly_sales",
    "finance_2005",
    "finance_2008",
    "people_2012",
    "stock_2019",
    "tickets_2005",
    "tickets_2022",
)
PACKAGES_OF_A_COPY = 12


def main(megabytes: int, packages: int) -> None:
    data_flow(megabytes)
    control_flow(packages)


def control_flow(packages: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(packages // PACKAGES_OF_A_COPY):
            copy(folder, number)
        find_files([folder])  # the files are now in the cache of the system
        start = time.process_time()
        found = sum(len(one.packages) for one in read([folder], on_file=lambda _: None) if isinstance(one, Project))
        read_in = time.process_time() - start
        importer = Importer()
        start = time.process_time()
        for one in read([folder], on_file=lambda _: None):
            if isinstance(one, Project):
                importer.convert(one)
        both_in = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"control flow: {found} packages: reading {read_in:.1f} s, with conversion {both_in:.1f} s, {peak:.0f} MB")


def copy(folder: Path, number: int) -> None:
    """Copy the packages; the domain of the addresses differs in each copy."""
    for source in FOLDERS:
        target = folder / f"{source}_{number}"
        target.mkdir()
        for file in (PACKAGES / source).iterdir():
            text = file.read_text(encoding="utf-8").replace(".example", f"-{number}.example")
            (target / file.name).write_text(text, encoding="utf-8")


def data_flow(megabytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for source, component in COMPONENTS.items():
            path = Path(folder) / Path(source).name
            size = write(path, (PACKAGES / source).read_text(encoding="utf-8"), component, megabytes * 1_000_000)
            tracemalloc.start()
            list(read([path], on_file=lambda _: None))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            print(f"{source}: {size / seconds(path) / 1e6:.0f} MB/s, peak memory {peak / size:.1f} times its size")


def write(path: Path, package: str, component: str, size: int) -> int:
    components = "".join(component.format(n=n) for n in range(size // len(component)))
    path.write_text(package.replace("<components", f"<components>{components}</components><components", 1), "utf-8")
    return path.stat().st_size


def seconds(path: Path) -> float:
    """Return the CPU time, the best of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        list(read([path], on_file=lambda _: None))
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    given = [int(number) for number in sys.argv[1:]]
    main(*(given + [20, 3_000][len(given) :]))
