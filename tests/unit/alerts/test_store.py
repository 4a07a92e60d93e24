"""What waits for a receiver is bounded, in order, and there again after a restart."""

from datawarehouse.alerts.messages import Message
from datawarehouse.alerts.store import QUEUE_MAX, Store


def numbered(first, last):
    return [Message(f"msg_{number}", number, "{}") for number in range(first, last)]


def taken(store, receiver):
    found = []
    while message := store.first(receiver):
        found.append(message.id)
        store.remove(receiver, message.id)
    return found


def test_messages_wait_in_order_and_of_too_many_the_oldest_are_given_up(tmp_path, caplog):
    store = Store(tmp_path / "file")
    store.put({}, {"a": numbered(0, 400), "b": numbered(0, 2)})
    store.put({}, {"a": numbered(400, QUEUE_MAX + 7)})
    assert store.waiting("a") == QUEUE_MAX
    assert "7 alerts for a are given up" in caplog.text
    again = Store(tmp_path / "file")
    assert taken(again, "a") == [f"msg_{number}" for number in range(7, QUEUE_MAX + 7)]
    assert taken(Store(tmp_path / "file"), "b") == ["msg_0", "msg_1"]
    assert Store(tmp_path / "file").waiting("a") == 0


def test_a_closed_store_writes_no_more(tmp_path):
    store = Store(tmp_path / "file")
    store.put({}, {"a": numbered(0, 1)})
    store.close()
    store.remove("a", "msg_0")
    assert Store(tmp_path / "file").waiting("a") == 1


def test_what_is_for_nobody_any_more_is_forgotten(tmp_path, caplog):
    store = Store(tmp_path / "file")
    store.put({}, {"a": numbered(0, 1), "b": numbered(0, 1)})
    store.keep([], ["b"])
    assert (store.waiting("a"), store.waiting("b")) == (0, 1)
    assert "alerts for a are given up" in caplog.text
