from datawarehouse.sql import plan
from datawarehouse.sql.function_names import FUNCTIONS
from datawarehouse.sql.translate.calls import names


def test_the_names_are_those_of_the_functions_that_there_are():
    assert plan  # which brings those with rules of their own
    assert names() == FUNCTIONS
