"""The declaration of alerts: what is valid, and what a wrong one says at once."""

import inspect
from dataclasses import asdict

import pytest

from datawarehouse import Warehouse
from datawarehouse.definition.alerts import Alert, Conditions, shown_url
from datawarehouse.errors import DeclarationError

HOOK = "https://hooks.example.com/T0/secret?key=1"


def test_a_plain_declaration_watches_everything_with_the_defaults():
    assert Warehouse("w").alerts() == [Alert()] == Warehouse("w").with_alert().alerts()
    arguments = inspect.signature(Warehouse.with_alert).parameters
    declared = {name: each.default for name, each in arguments.items() if name not in ("self", "webhook", "command")}
    assert declared == asdict(Conditions())


def test_a_declaration_is_data():
    [alert] = Warehouse("w").with_alert(HOOK, ["page", "now"], rejects=None, lag_s=60).alerts()
    assert (alert.webhook, alert.command) == (HOOK, ("page", "now"))
    assert (alert.conditions.rejects, alert.conditions.lag_s, alert.conditions.window_ms) == (None, 60, 300_000)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"webhook": "hooks.example.com/x"}, "its scheme is '' and must be http or https"),
        ({"webhook": "ftp://example.com/x"}, "its scheme is 'ftp' and must be http or https"),
        ({"webhook": "https:///x"}, "it names no host"),
        ({"webhook": "https://example.com:x/"}, "cannot be used: Port could not be cast"),
        ({"webhook": "https://example.com:99999/"}, "Port out of range"),
        ({"webhook": "https://u:p@example.com/"}, "it has a user name or a password in it"),
        ({"webhook": "https://example.com/a b"}, "a character that a URL cannot have"),
        ({"webhook": "https://example.com/\r\nx: y"}, "a character that a URL cannot have"),
        ({"webhook": "https://example.com/#x"}, "it has a fragment"),
        ({"webhook": 7}, "webhook 7 cannot be used: it is not a text"),
        ({"command": "page now"}, r"command is 'page now'; valid is a program and its arguments as a list of texts"),
        ({"command": []}, r"command is \[\]"),
        ({"command": ["page", 3]}, "valid is a program"),
        ({"command": ["page\0"]}, "valid is a program"),
        ({"rejects": -1}, "rejects is -1; valid is a whole number from 0 to .*, or None to leave the condition out"),
        ({"rejects": 1.5}, "rejects is 1.5; valid is a whole number"),
        ({"rejects_share": 2}, r"rejects_share is 2; valid is a number from 0 to 1"),
        ({"rejects_share": float("nan")}, r"rejects_share is nan; valid is a number from 0 to 1"),
        ({"rejects_share": "1 %"}, r"rejects_share is '1 %'"),
        ({"refused_share": -0.1}, r"refused_share is -0.1; valid is a number from 0 to 1"),
        ({"missed_runs": 0}, "missed_runs is 0; valid is a whole number from 1 to 1000, or None"),
        ({"failed_runs": 0}, "failed_runs is 0; valid is a whole number from 1 to 1000"),
        ({"lag_s": True}, "lag_s is True"),
        ({"disk_free_bytes": "1GiB"}, "disk_free_bytes is '1GiB'"),
        ({"backup_age_hours": 0}, "backup_age_hours is 0"),
        ({"clock_ahead_s": -5}, "clock_ahead_s is -5"),
        ({"damage": None}, "damage is None; valid are True and False"),
        ({"window_minutes": None}, "window_minutes is None; valid is a whole number from 1 to 1440.$"),
        ({"window_minutes": 1441}, "window_minutes is 1441"),
    ],
)
def test_a_wrong_declaration_says_what_is_valid_and_adds_nothing(arguments, says):
    warehouse = Warehouse("w")
    with pytest.raises(DeclarationError, match=says):
        warehouse.with_alert(**arguments)
    assert warehouse.alerts() == [Alert()]


def test_an_unknown_condition_is_refused_by_python_itself():
    with pytest.raises(TypeError, match="rejected"):
        Warehouse("w").with_alert(rejected=3)


def test_no_receiver_is_declared_twice():
    warehouse = Warehouse("w").with_alert(HOOK).with_alert(command=["page"])
    with pytest.raises(DeclarationError, match="with_alert was called before for this webhook"):
        warehouse.with_alert(HOOK, rejects=1)
    with pytest.raises(DeclarationError, match="with_alert was called before for this command"):
        warehouse.with_alert(command=["page"])
    with pytest.raises(DeclarationError, match="with_alert was called before for this log alone"):
        Warehouse("w").with_alert().with_alert(rejects=1)
    assert len(warehouse.with_alert(rejects=1).alerts()) == 3


@pytest.mark.parametrize("url", [HOOK, "https://user:secret@example.com/x", "https://[secret", "secret"])
def test_no_message_repeats_what_may_be_secret_in_a_url(url):
    assert "secret" not in shown_url(url)
