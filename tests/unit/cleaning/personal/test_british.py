"""Sort codes and numbers of British accounts, beside days, orders and other numbers of as many digits."""

from __future__ import annotations

import time

import pytest

from lakeloop.cleaning.personal.british import ACCOUNT
from lakeloop.cleaning.personal.registry import hidden


@pytest.mark.parametrize(
    ("text", "blotted"),
    [
        ("My sort code is 20-45-53, thanks", "My sort code is ##-##-##, thanks"),
        ("Sort Code: 204553", "Sort Code: ######"),
        ("sort-code 20 45 53 of Leeds", "sort-code ## ## ## of Leeds"),
        ("sort code 12-11-26", "sort code ##-##-##"),
        ("account number 31926819.", "account number ########."),
        ("my account no. is 3192 6819", "my account no. is #### ####"),
        ("Acct #31926819", "Acct #########"),
        ("a/c: 31926819", "a/c: ########"),
        ("pay to 20-45-53 31926819 now", "pay to ##-##-## ######## now"),
        ("pay to 20 45 53, 31926819", "pay to ## ## ##, ########"),
        ("11-04-25 / 31926819", "##-##-## / ########"),
    ],
)
def test_what_is_an_account_is_masked_and_nothing_beside_it(text: str, blotted: str) -> None:
    assert hidden(text) == blotted
    assert hidden(blotted) == blotted


@pytest.mark.parametrize(
    "text",
    [
        "Delivered on 12-11-26 at 10-12-30.",
        "Order 31926819 came on 12-11-26.",
        "My account balance is 31926819 pounds",
        "my account manager called 3 times, reference 31926819",
        "we have 31926819 accounts",
        "Sort code of the letters: 4 of 20",
        "The code is 20-45-53",
        "from 21-11-26 20261103 on",
        "account 1234567 and account 123456789",
        "on account of 20 45 53 pages",
        "part 20-45-53-31926819",
        "accountant 31926819",
    ],
)
def test_other_numbers_of_as_many_digits_stay(text: str) -> None:
    assert hidden(text) == text


@pytest.mark.parametrize("piece", ["12-34-56 ", "12 ", "sort code ", "account number ", "account 1234 "])
def test_a_hostile_text_costs_no_more_than_its_length(piece: str) -> None:
    began = time.process_time()
    list(ACCOUNT.find(piece * (50_000 // len(piece)), ""))
    assert time.process_time() - began < 1
