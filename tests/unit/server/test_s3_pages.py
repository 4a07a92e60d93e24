"""Pages of lists of data files: in the order of keys, each once, and ending with an hour where that is possible."""

import random
from itertools import chain, pairwise

import pytest

from datawarehouse.server.live_files import LiveFiles
from datawarehouse.server.objects import Listed
from datawarehouse.server.s3 import _page

FILES = LiveFiles(None, None, None)
KEYS = [f"{table}/2026/03/01/{hour:02}/{n}.parquet" for table in "ab" for hour in range(6) for n in range(hour % 4)]


def lister(keys):
    listed = [Listed(key, 1, "", 0) for key in sorted(keys)]

    def found(prefix, after, limit):
        return [each for each in listed if each.key.startswith(prefix) and each.key > after][:limit]

    return found


def pages(keys, prefix, delimiter, most):
    found, after = [], ""
    while True:
        page = _page(FILES, lister(keys), prefix, delimiter, after, most)
        found.append(([each.key for each in page.objects], page.prefixes))
        if not page.after:
            return found
        assert page.after > after
        after = page.after


@pytest.mark.parametrize("most", [3, 4, 5, 7])
def test_a_page_ends_with_an_hour(most):
    found = [keys for keys, _ in pages(KEYS, "", "", most)]
    assert list(chain(*found)) == KEYS
    hours = [{key.rpartition("/")[0] for key in keys} for keys in found]
    assert all(not one & other for one, other in pairwise(hours))
    assert all(0 < len(keys) <= most for keys in found)


def test_an_hour_that_is_larger_than_a_page_is_cut():
    assert [len(keys) for keys, _ in pages(KEYS, "a/2026/03/01/03", "", 2)] == [2, 1]
    assert [len(keys) for keys, _ in pages(KEYS, "a/", "", 1)] == [1] * 7


@pytest.mark.seeds(fixed=30, random=20)
def test_any_list_is_what_its_definition_says(seed):
    chance = random.Random(seed)
    keys = sorted({"".join(chance.choices("ab/-\u00e9\U0001f4a9", k=chance.randrange(1, 6))) for _ in range(30)})
    prefix, delimiter = "".join(chance.choices("ab/", k=chance.randrange(3))), chance.choice(["", "/", "b", "a/"])
    most = chance.randrange(1, 8)
    objects, prefixes = [], []
    for key in keys:
        cut = key.find(delimiter, len(prefix)) if delimiter and key.startswith(prefix) else -1
        if cut >= 0:
            prefixes.append(key[: cut + len(delimiter)])
        elif key.startswith(prefix):
            objects.append(key)
    found = pages(keys, prefix, delimiter, most)
    assert list(chain(*(each for each, _ in found))) == objects
    assert list(chain(*(each for _, each in found))) == sorted(set(prefixes))
    assert all(len(some) + len(common) <= most for some, common in found)
