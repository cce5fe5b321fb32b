"""RFC 4226 and RFC 6238, by their published vectors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.totp.algorithm import (
    SECRET_BYTES,
    Parameters,
    code_at,
    generate_secret,
    is_code,
    matching_step,
    named,
    step_at,
)

SEED = b"12345678901234567890"


@pytest.mark.requirement("R2")
@pytest.mark.parametrize(
    ("counter", "code"),
    list(
        enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"])
    ),
)
def test_the_codes_of_rfc_4226_appendix_d(counter: int, code: str) -> None:
    assert code_at(SEED, counter, Parameters()) == code


@pytest.mark.requirement("R1")
@pytest.mark.parametrize(
    ("seconds", "sha1", "sha256", "sha512"),
    [
        (59, "94287082", "46119246", "90693936"),
        (1111111109, "07081804", "68084774", "25091201"),
        (1111111111, "14050471", "67062674", "99943326"),
        (1234567890, "89005924", "91819424", "93441116"),
        (2000000000, "69279037", "90698825", "38618901"),
        (20000000000, "65353130", "77737706", "47863826"),
    ],
)
def test_the_codes_of_rfc_6238_appendix_b(seconds: int, sha1: str, sha256: str, sha512: str) -> None:
    for parameters, expected in (
        (Parameters("SHA1", digits=8), sha1),
        (Parameters("SHA256", digits=8), sha256),
        (Parameters("SHA512", digits=8), sha512),
    ):
        # The RFC seeds each hash with as many bytes as it is long, repeating the same digits.
        seed = (SEED * 4)[: SECRET_BYTES[parameters.algorithm]]
        assert code_at(seed, step_at(seconds, parameters), parameters) == expected


@pytest.mark.requirement("R1")
def test_the_short_seed_is_not_the_one_of_the_longer_hashes() -> None:
    assert code_at(SEED, step_at(59, Parameters()), Parameters("SHA256", digits=8)) == "32247374"


@pytest.mark.requirement("R3")
@pytest.mark.parametrize("seconds", [2**31 * 30, 2**32 * 30 + 5])
def test_steps_past_32_bits_are_counted(seconds: int) -> None:
    parameters = Parameters()
    step = step_at(seconds, parameters)
    code = code_at(SEED, step, parameters)
    assert matching_step(SEED, code, step=step, window=1, parameters=parameters) == step


@pytest.mark.requirement("R2")
def test_a_leading_zero_is_part_of_the_code() -> None:
    assert is_code("07081804", Parameters(digits=8))
    assert not is_code("7081804", Parameters(digits=8))


@pytest.mark.requirement("R6")
@pytest.mark.parametrize("window", [0, 1, 2])
def test_a_code_is_accepted_within_the_window_and_not_beyond(window: int) -> None:
    parameters = Parameters()
    code = code_at(SEED, 1000, parameters)
    for step in range(995, 1006):
        matched = matching_step(SEED, code, step=step, window=window, parameters=parameters)
        assert matched == (1000 if abs(step - 1000) <= window else None)


@settings(deadline=None)
@given(st.integers(0, 2**40), st.sampled_from(["SHA1", "SHA256", "SHA512"]), st.integers(6, 8))
def test_every_code_has_its_form_and_matches_its_step(step: int, algorithm: str, digits: int) -> None:
    parameters = Parameters(algorithm, digits)  # type: ignore[arg-type]
    secret = generate_secret(parameters.algorithm)
    code = code_at(secret, step, parameters)
    assert is_code(code, parameters)
    assert matching_step(secret, code, step=step, window=0, parameters=parameters) == step


@pytest.mark.requirement("R4")
@pytest.mark.attack("A27")
def test_secrets_are_as_long_as_the_hash_and_never_the_same() -> None:
    secrets = {generate_secret() for _ in range(10_000)}
    assert len(secrets) == 10_000
    assert {len(secret) for secret in secrets} == {20}
    assert len(generate_secret("SHA256")) == 32
    assert len(generate_secret("SHA512")) == 64


@pytest.mark.requirement("R12")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "12345",
        "1234567",
        " 123456",
        "123456\n",
        "123 456",
        "１２３４５６",
        "١٢٣٤٥٦",
        "²23456",
        "1_2345",
        "+12345",
        "12345\0",
    ],
)
def test_what_is_not_six_ascii_digits_is_no_code(text: str) -> None:
    assert not is_code(text, Parameters())


@pytest.mark.requirement("R12")
@pytest.mark.parametrize("value", [None, 123456, 123456.0, ["1"], b"123456", True])
def test_what_is_not_text_is_no_code(value: object) -> None:
    assert not is_code(value, Parameters())


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("SHA1", "SHA1"), ("sha-256", "SHA256"), ("Sha512", "SHA512"), ("MD5", None), ("", None), (b"SHA1", None)],
)
def test_an_algorithm_is_known_however_it_is_spelled(name: object, algorithm: str | None) -> None:
    assert named(name) == algorithm
