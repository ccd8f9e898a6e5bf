"""Device ids, and which names a certificate may carry."""

import pytest

from sync.identity import DevicePublic, UnusableName, check_device_name, check_platform, make_certificate
from tests.support.realm_factory import SeededEntropy, device_keys


@pytest.mark.parametrize("name", ["A", "Ada's laptop", "Büro-PC 2", "书房", "مكتب", "🐦 nest", "x" * 64])
def test_ordinary_names_are_accepted(name: str) -> None:
    check_device_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        " a",
        "a ",
        "a\u3000",
        "x" * 65,
        "a\nb",
        "a\0b",
        "\u202eevil",
        "a\u200bb",
        "a\u2066b",
        "\ufeffa",
        "a\x7f",
    ],
)
def test_names_that_hide_or_disguise_are_refused(name: str) -> None:
    with pytest.raises(UnusableName):
        check_device_name(name)


@pytest.mark.parametrize("platform", ["", " linux", "línux", "linux\n", "x" * 33])
def test_a_platform_is_plain_ascii(platform: str) -> None:
    check_platform("macOS 15.1")
    with pytest.raises(UnusableName):
        check_platform(platform)


def test_the_id_depends_on_every_key_and_the_secrets_are_not_shown() -> None:
    keys = device_keys(SeededEntropy("identity"))
    public = keys.public
    certificate = make_certificate(public, name="a", platform="linux")
    assert certificate.device_id == keys.device_id == public.device_id
    for changed in (
        DevicePublic(sign=bytes(32), noise=public.noise, seal=public.seal),
        DevicePublic(sign=public.sign, noise=bytes(32), seal=public.seal),
        DevicePublic(sign=public.sign, noise=public.seal, seal=public.noise),
    ):
        assert changed.device_id != keys.device_id
    assert keys.sign_seed.hex() not in repr(keys)
    assert repr(keys) == "DeviceKeys()"
