"""The ticket of a user with a password, from a KDC that knows no enterprise names; in ``test_domain`` one does."""

from __future__ import annotations

import gc
import re
from contextlib import suppress

import pytest

from airflow_smtp_cm.smtp.errors import CredentialError
from airflow_smtp_cm.smtp.sasl import Attempt, Exchange
from airflow_smtp_cm.smtp.settings import Identity, WindowsAuthentication
from airflow_smtp_cm.smtp.ticket import Principal, find_principal, ticket_cache
from tests.servers.people import ALICE, DOMAIN, MAIL_HOST, REALM, WALTER
from tests.servers.processes import LOOPBACK, free_ports
from tests.servers.referring_kdc import referring_kdc

krb5 = pytest.importorskip("krb5")
pytestmark = pytest.mark.usefixtures("kdc")


def principal(cache: str) -> str | None:
    """Return the principal of a ticket cache; None if it does not exist any more."""
    with suppress(krb5.Krb5Error):
        found = krb5.cc_resolve(krb5.init_context(), cache.encode()).principal
        return found and found.name.decode()
    return None


def exchange(username: str, password: str) -> Exchange:
    windows = WindowsAuthentication(identity=Identity(username=username, password=password))
    return Exchange(Attempt("GSSAPI", "kerberos"), windows, MAIL_HOST, binding=None)


@pytest.fixture
def without_default_realm(kdc, tmp_path, monkeypatch):
    config = tmp_path / "krb5.conf"
    config.write_text(kdc.krb5_conf.read_text().replace("default_realm", "# default_realm"))
    monkeypatch.setenv("KRB5_CONFIG", str(config))


@pytest.mark.parametrize("username", ["alice", "alice@CORP.TEST", "alice@corp.test", r"corp.test\alice"])
def test_the_principal_is_asked_for_if_the_kdc_knows_no_enterprise_names(username):
    with ticket_cache(find_principal(username), ALICE.password) as cache:
        assert principal(cache) == ALICE.principal
        assert cache.startswith("MEMORY:")
    assert principal(cache) is None


@pytest.mark.usefixtures("without_default_realm")
def test_a_realm_of_krb5_conf_needs_no_default_realm():
    with ticket_cache(find_principal(ALICE.principal), ALICE.password) as cache:
        assert principal(cache) == ALICE.principal


@pytest.mark.usefixtures("without_default_realm")
@pytest.mark.parametrize("username", ["alice", r"CORP\alice", "alice@mail.corp.test"])
def test_without_a_default_realm_the_error_says_what_to_set(username):
    with pytest.raises(CredentialError, match=r"Set default_realm in krb5\.conf to the realm") as raised:
        exchange(username, ALICE.password).prepare()
    assert not raised.value.account_refused


@pytest.fixture
def forest(kdc, tmp_path, monkeypatch):
    """Another domain of a forest, whose realm is the default one; it refers every user to the realm of ``kdc``."""
    with referring_kdc("FOREST.TEST", to=REALM) as other:
        realm = f"[realms]\n    FOREST.TEST = {{\n        kdc = {other.address}\n    }}"
        text = kdc.krb5_conf.read_text().replace(f"default_realm = {REALM}", "default_realm = FOREST.TEST")
        config = tmp_path / "krb5.conf"
        config.write_text(text.replace("[realms]", realm))
        monkeypatch.setenv("KRB5_CONFIG", str(config))
        yield other


def test_a_user_of_another_domain_of_the_forest_is_found_by_a_referral(forest):
    """RFC 6806, section 7; Active Directory refers to the domain that has the UPN."""
    found = find_principal(WALTER.name)
    assert found == Principal(WALTER.name, "FOREST.TEST")
    with ticket_cache(found, WALTER.password) as cache:
        assert principal(cache) == "walter\\@mail.forest.test@CORP.TEST"
    assert len(forest.requests) == 2  # one to find the user, and one for the ticket


@pytest.mark.usefixtures("forest")
def test_a_user_of_another_domain_logs_in_with_the_realm_of_the_referral():
    login = exchange(WALTER.name, WALTER.password)
    login.prepare()
    assert login.start()


@pytest.mark.usefixtures("forest")
def test_a_wrong_password_of_a_user_of_another_domain_is_refused_by_that_domain():
    login = exchange(WALTER.name, "wrong")
    login.prepare()
    with pytest.raises(CredentialError, match="The KDC refused the password") as raised:
        login.start()
    assert raised.value.account_refused


@pytest.mark.parametrize("lost_after", ["nothing", "prepare"])
def test_ntlm_is_not_tried_if_the_kdc_is_lost_when_it_may_have_the_password(kdc, tmp_path, monkeypatch, lost_after):
    """A wrong password would count twice: libkrb5 gives a silent KDC up long before the default timeout."""
    login = exchange(ALICE.principal, ALICE.password)
    if lost_after == "prepare":
        login.prepare()
    config = tmp_path / "krb5.conf"
    config.write_text(re.sub(r"kdc = \S+", f"kdc = {LOOPBACK}:{free_ports(1)[0]}", kdc.krb5_conf.read_text()))
    monkeypatch.setenv("KRB5_CONFIG", str(config))
    with pytest.raises(CredentialError, match=r"No KDC of the realm [A-Z.]+ can be reached") as raised:
        login.start() if lost_after == "prepare" else login.prepare()
    assert raised.value.transient
    assert raised.value.account_refused is (lost_after == "prepare")


@pytest.mark.parametrize(
    ("username", "password"),
    [
        (ALICE.principal, ALICE.password),
        ("alice@CORP.TEST", "wrong"),
        ("nobody@corp.test", "x"),
        ("nobody@elsewhere.test", "x"),
        (rf"{DOMAIN}\nobody", "x"),
        ("nobody", "x"),
    ],
)
def test_no_object_of_krb5_is_left_to_the_garbage_collector(username, password):
    """It may free them in an order that crashes the process."""
    gc.disable()
    try:
        with suppress(CredentialError):
            login = exchange(username, password)
            login.prepare()
            login.start()
        kinds = (krb5.Context, krb5.Principal, krb5.InitCredsContext, krb5.Creds, krb5.CCache, krb5.GetInitCredsOpt)
        # Not by isinstance, which asks objects for their class: Airflow's lazy modules would be imported.
        assert [thing for thing in gc.get_objects() if issubclass(type(thing), kinds)] == []
    finally:
        gc.enable()


def test_the_password_is_in_no_traceback():
    login = exchange(ALICE.principal, "correct horse")
    login.prepare()
    with pytest.raises(CredentialError) as raised:
        login.start()
    error: BaseException | None = raised.value
    seen = []
    while error is not None:
        traceback = error.__traceback__
        while traceback is not None:
            if "airflow_smtp_cm" in traceback.tb_frame.f_code.co_filename:
                seen += [value for value in traceback.tb_frame.f_locals.values() if value == "correct horse"]
            traceback = traceback.tb_next
        error = error.__cause__
    assert seen == []
