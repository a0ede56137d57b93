"""Known answers from the standards, as hexadecimal text. Only they say that we compute what others do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Aead:
    """A message sealed by the standard's authors."""

    source: str
    key: bytes
    nonce: bytes
    associated_data: bytes
    plaintext: bytes
    ciphertext: bytes
    tag: bytes


_of = bytes.fromhex

_GCM_KEY = _of("feffe9928665731c6d6a8f9467308308")
_GCM_NONCE = _of("cafebabefacedbaddecaf888")
_GCM_PLAINTEXT = _of(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
)
_GCM_CIPHERTEXT = _of(
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
    "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985"
)

AES_128_GCM = (
    Aead(
        "GCM specification, test case 1",
        bytes(16),
        bytes(12),
        b"",
        b"",
        b"",
        _of("58e2fccefa7e3061367f1d57a4e7455a"),
    ),
    Aead(
        "GCM specification, test case 2",
        bytes(16),
        bytes(12),
        b"",
        bytes(16),
        _of("0388dace60b6a392f328c2b971b2fe78"),
        _of("ab6e47d42cec13bdf53a67b21257bddf"),
    ),
    Aead(
        "GCM specification, test case 3",
        _GCM_KEY,
        _GCM_NONCE,
        b"",
        _GCM_PLAINTEXT,
        _GCM_CIPHERTEXT,
        _of("4d5c2af327cd64a62cf35abd2ba6fab4"),
    ),
    Aead(
        "GCM specification, test case 4",
        _GCM_KEY,
        _GCM_NONCE,
        _of("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
        _GCM_PLAINTEXT[:60],
        _GCM_CIPHERTEXT[:60],
        _of("5bc94fbc3221a5db94fae95ae7121a47"),
    ),
)

CHACHA20_POLY1305 = (
    Aead(
        "RFC 8439, 2.8.2",
        bytes(range(0x80, 0xA0)),
        _of("070000004041424344454647"),
        _of("50515253c0c1c2c3c4c5c6c7"),
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it.",
        _of(
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
            "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
            "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
            "3ff4def08e4b7a9de576d26586cec64b6116"
        ),
        _of("1ae10b594f09e26a7e902ecbd0600691"),
    ),
)

AES_128_CBC = Aead(
    "NIST SP 800-38A, F.2.1",
    _of("2b7e151628aed2a6abf7158809cf4f3c"),
    bytes(range(16)),
    b"",
    _of(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    ),
    _of(
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
        "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"
    ),
    b"",
)
"""Without padding: four whole blocks."""


@dataclass(frozen=True)
class Hmac:
    source: str
    key: bytes
    data: bytes
    tag: bytes


HMAC_SHA256 = (
    Hmac(
        "RFC 4231, 4.2",
        b"\x0b" * 20,
        b"Hi There",
        _of("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    ),
    Hmac(
        "RFC 4231, 4.4",
        b"\xaa" * 20,
        b"\xdd" * 50,
        _of("773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    ),
    Hmac(
        "RFC 4231, 4.5",
        bytes(range(1, 26)),
        b"\xcd" * 50,
        _of("82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    ),
    Hmac(
        "RFC 4231, 4.7",
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        _of("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
    ),
)


@dataclass(frozen=True)
class Hkdf:
    source: str
    secret: bytes
    salt: bytes
    info: bytes
    output: bytes


HKDF_SHA256 = (
    Hkdf(
        "RFC 5869, A.1",
        b"\x0b" * 22,
        bytes(range(13)),
        bytes(range(0xF0, 0xFA)),
        _of("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
    ),
    Hkdf(
        "RFC 5869, A.2",
        bytes(range(0x50)),
        bytes(range(0x60, 0xB0)),
        bytes(range(0xB0, 0x100)),
        _of(
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
            "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
            "cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ),
    ),
    Hkdf(
        "RFC 5869, A.3",
        b"\x0b" * 22,
        b"",
        b"",
        _of("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
    ),
)


@dataclass(frozen=True)
class Agreement:
    source: str
    curve: str
    private: bytes
    public: bytes
    peer: bytes
    secret: bytes


AGREEMENTS = (
    Agreement(
        "RFC 5903, 8.1",
        "P-256",
        _of("C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433"),
        _of(
            "04"
            "DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180"
            "5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3"
        ),
        _of(
            "04"
            "D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63"
            "56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB"
        ),
        _of("D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE"),
    ),
    Agreement(
        "RFC 7748, 6.1",
        "X25519",
        _of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
        _of("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
        _of("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"),
        _of("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
    ),
)


@dataclass(frozen=True)
class Signature:
    source: str
    algorithm: str
    public: bytes
    data: bytes
    signature: bytes


SIGNED = (
    Signature(
        'RFC 6979, A.2.5, SHA-256, message "sample"',
        "ECDSA",
        _of(
            "04"
            "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
            "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
        ),
        b"sample",
        _of(
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
        ),
    ),
    Signature(
        "RFC 8032, 7.1, test 2",
        "Ed25519",
        _of("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
        b"\x72",
        _of(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
)
