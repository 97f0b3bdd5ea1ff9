"""The reader never returns passwords, only their places."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_smtp_cm.ssis.reading.redaction import Secrets
from tests.ssis.packages import HERE, JOINERS, NIGHTLY_SALES, ODD
from tests.ssis.reading import find, read_all, read_package, read_project

#: The texts that replace secrets in the packages of the tests.
STAND_INS = (
    "not-a-real-password",
    "cipher-text-for-tests",
    "sensitive-value-for-tests",
    "Y2lwaGVyLXRleHQtZm9yLXRlc3Rz",
    "stand-in-of-the-ledger",
    "stand-in-of-the-archive",
)

WORD = "Gehe1m!"


def test_no_secret_of_the_packages_is_read():
    results = repr(read_all(HERE))
    fixtures = (file for file in HERE.rglob("*.*") if file.suffix not in {".py", ".pyc"})
    in_files = b"".join(file.read_bytes() for file in fixtures).decode()
    for stand_in in STAND_INS:
        assert stand_in in in_files
        assert stand_in not in results


def test_places_of_a_package():
    assert read_package(JOINERS).secrets == (
        "Package.ConnectionManagers[Cloud mail]",
        "Package.PackageParameters[DirectoryPassword]",
        "Package.Variables[User::ArchiveConnection]",
    )


def test_places_of_a_project():
    assert set(read_project(NIGHTLY_SALES).secrets) == {
        "Project.ConnectionManagers[Warehouse]",
        "Project.Parameters[WarehousePassword]",
    }


def test_places_that_are_encrypted():
    package = read_package(ODD / "EncryptSensitiveWithPassword.dtsx")
    assert package.secrets == (
        "Package.ConnectionManagers[Orders]", "Package.PackageParameters[Key]", r"Package\Fetch"
    )  # fmt: skip
    mail, orders = package.connection_managers
    assert (mail.has_secret, orders.has_secret) == (False, True)
    assert mail.connection_string.endswith("Timeout=30000;")
    assert find(package, r"Package\Send").mail.to_line == "desk@example.com"


def test_other_settings_of_a_connection_string_are_kept():
    cloud = next(m for m in read_package(JOINERS).connection_managers if m.name == "Cloud mail")
    assert cloud.connection_string == (
        "Username=joiners@alderwick.example;Password=***;EnableSsl=True;SmtpServer=smtp.cloud.example;"
        "SmtpServerPort=587;ServiceTimeout=120"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Server=a;Password={WORD};Database=b", "Server=a;Password=***;Database=b"),
        (f"Server=a;PWD = {WORD}", "Server=a;PWD = ***"),
        (f'pwd="{WORD};""x";Server=a', "pwd=***;Server=a"),
        (f"Password='{WORD};x';Server=a", "Password=***;Server=a"),
        (f"Pwd={{{WORD};x}};Server=a", "Pwd=***;Server=a"),
        (f"Jet OLEDB:Database Password={WORD};Mode=Read", "Jet OLEDB:Database Password=***;Mode=Read"),
        (f"UserName=u;ServerPassword={WORD}", "UserName=u;ServerPassword=***"),
        (
            f"DefaultEndpointsProtocol=https;AccountKey={WORD}==;x=1",
            "DefaultEndpointsProtocol=https;AccountKey=***;x=1",
        ),
        (f"ClientSecret={WORD};SharedAccessKey={WORD}", "ClientSecret=***;SharedAccessKey=***"),
        (f"ftp://user:{WORD}@host/path", "ftp://user:***@host/path"),
        (f"Password={WORD}\nRegards", "Password=***\nRegards"),
        ("Password=;Persist Security Info=True;", "Password=;Persist Security Info=True;"),
        ("SmtpServer=a;UseWindowsAuthentication=True;EnableSsl=False;",) * 2,
        ("Your password has expired.",) * 2,
    ],
)
def test_passwords_are_removed_from_texts(text, expected):
    secrets = Secrets()
    assert secrets.text(text, "here") == expected
    assert secrets.places == (("here",) if text != expected else ())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f'"Server=a;Password={WORD};" + @[User::Rest]', '"Server=a;Password=***;" + @[User::Rest]'),
        (f'"Server=" + @S + ";Password=" + "{WORD}" + ";x=1"', '"Server=" + @S + ";Password=" + "***" + ";x=1"'),
        (f'"PWD=\\"{WORD};\\";Server=a"', '"PWD=***;Server=a"'),
        (f'"Password={WORD}" + "{WORD};Server=a"', '"Password=***" + "***;Server=a"'),
        (f'"Password=" + (@P ? "{WORD}" : "x") + ";y=1"', '"Password=" + (@P ? "***" : "***") + ";y=1"'),
        (f'"Password={WORD}', '"Password=***'),
        ('"Server=a;Password=" + @[User::Password] + ";x=1"',) * 2,
        ('@[User::Rows] > 0 ? "a" : "b"',) * 2,
    ],
)
def test_passwords_are_removed_from_expressions(expression, expected):
    secrets = Secrets()
    assert secrets.expression(expression, "here") == expected
    assert secrets.places == (("here",) if expression != expected else ())


@pytest.mark.parametrize("name", ["Password", "SmtpPwd", "CM.Mail.Password", "ApiKey", "client_secret"])
def test_names_of_secrets_are_recognised(name):
    secrets = Secrets()
    assert secrets.named(name, WORD, "here") is None
    assert secrets.named_expression(name, f'"{WORD}" + @x', "here") == '"***" + @x'
    assert secrets.places == ("here",)


def test_places_are_reported_once():
    secrets = Secrets()
    secrets.text("Password=a", "here")
    secrets.text("Password=b", "here")
    assert secrets.places == ("here",)


keys = st.sampled_from(["Password", "PWD", "pwd", "User Password", "AccountKey"])
words = st.text("abcXYZ0189!$%&/()?,.:-_#+*~<>|", min_size=8).map(lambda text: f"q{text}q")


@given(keys, words, st.text("=;\"'\\ a\n", max_size=8), st.text(max_size=8))
@example("Password", "secretsecret", '"', '"')
def test_any_password_of_a_connection_string_is_removed(key, word, before, after):
    assert word not in Secrets().text(f"{before};{key}={word};{after}", "here").replace(before, "").replace(after, "")
    assert word not in Secrets().expression(f'"{key}=" + "{word}"', "here")
    assert word not in Secrets().expression(f'"Server=a;{key}={word}"', "here")


@given(st.text(st.sampled_from("Pwd=\"';\\{} \n+@"), max_size=60))
def test_any_text_is_accepted(text):
    Secrets().text(text, "here")
    Secrets().expression(text, "here")
