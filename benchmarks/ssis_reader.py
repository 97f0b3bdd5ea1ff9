"""The speed at which SSIS packages are read: `python -m benchmarks.ssis_reader [MB]`.

The packages are those of the tests, extended with data flow to the given size. The time is CPU time.
"""

import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from airflow_smtp_cm.ssis.reading.reader import read

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


def main(megabytes: int) -> None:
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
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
