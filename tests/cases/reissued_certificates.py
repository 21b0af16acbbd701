"""Certificates that their issuer did sign although AMD's look otherwise: all of simulated Milan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cases.evidence import Evidence, of_machine
from fakes import simulated
from nodeproof.sevsnp.certificates import NAME_ATTRIBUTES, Role, common_name, issuer_role
from nodeproof.sevsnp.extensions import AMD_ARC
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.profile import signature_padding
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof.sevsnp.simulator.encoding import sign_report
from nodeproof.sevsnp.simulator.issuing import vcek_extensions

_LIFE = timedelta(days=365)
_DAY = timedelta(days=1)
_FIRST_EXTENSIONS = ("1", "2", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "4")

Attributes = tuple[tuple[x509.ObjectIdentifier, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a certificate says, and how it is signed."""

    role: Role
    public_key: Any
    signing_key: rsa.RSAPrivateKey
    subject: Attributes
    issuer: Attributes
    begin: timedelta = -_DAY
    """Counted from ``simulated.NOW``, as is ``end``."""
    end: timedelta = _LIFE
    serial: int = 1
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    """Each with whether it is critical."""
    hash: HashAlgorithm = field(default_factory=SHA384)
    padding: padding.AsymmetricPadding = field(default_factory=signature_padding)

    def issue(self) -> bytes:
        """Return the certificate in DER."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(self.subject))
            .issuer_name(_name(self.issuer))
            .not_valid_before(simulated.NOW + self.begin)
            .not_valid_after(simulated.NOW + self.end)
            .serial_number(self.serial)
            .public_key(self.public_key)
        )
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical=critical)
        signed = builder.sign(self.signing_key, self.hash, rsa_padding=self.padding)  # type: ignore[arg-type] # any hash, also weak ones
        return signed.public_bytes(Encoding.DER)


def attributes(common: str, **changes: str) -> Attributes:
    """Return AMD's name with this common name, and with changes by attribute."""
    named = {**NAME_ATTRIBUTES, NameOID.COMMON_NAME: common}
    named |= {getattr(NameOID, key): value for key, value in changes.items()}
    return tuple(named.items())


def vek_recipe(machine: SimulatedMachine, changes: Mapping[str, bytes | None]) -> Recipe:
    """Return how to make the machine's VCEK with other extensions.

    ``changes`` are contents by what follows AMD's arc in the OID; None leaves one out.
    """
    whole = vcek_extensions(machine.product, machine.chip_id, machine.processor.tcb)
    for arc, value in changes.items():
        if value is None:
            whole.pop(f"{AMD_ARC}.{arc}")
        else:
            whole[f"{AMD_ARC}.{arc}"] = value
    return Recipe(
        role=Role.VCEK,
        public_key=machine.processor.vcek_key.public_key(),
        signing_key=simulated.authority(machine.product).ask_key,
        subject=attributes(common_name(Role.VCEK, machine.product)),
        issuer=attributes(common_name(Role.ASK, machine.product)),
        extensions=tuple((unrecognized(oid, value), False) for oid, value in whole.items()),
    )


def ca_recipe(role: Role) -> Recipe:
    """Return how to make the simulated Milan's ARK, ASK or ASVK."""
    authority = simulated.authority(Product.MILAN)
    key = authority.ark_key if role is Role.ARK else authority.ask_key
    path = None if role is Role.ARK else 0
    return Recipe(
        role=role,
        public_key=key.public_key(),
        signing_key=authority.ark_key,
        subject=attributes(common_name(role, Product.MILAN)),
        issuer=attributes(common_name(issuer_role(role), Product.MILAN)),
        serial=0x10001,
        extensions=(
            (x509.BasicConstraints(ca=True, path_length=path), True),
            (key_usage(key_cert_sign=True, crl_sign=role is Role.ARK), True),
        ),
    )


def key_usage(**given: bool) -> x509.KeyUsage:
    """Return a keyUsage with these bits set only."""
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    more = ("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**dict.fromkeys((*names, *more), False) | given)


def unrecognized(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    """Return an extension with these bytes as its content."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)


@cache
def milan() -> SimulatedMachine:
    """Return the machine whose certificates are issued anew."""
    return simulated.machine(Product.MILAN)


def under(what: str, **certificates: bytes) -> Evidence:
    """Return a report of that machine with other certificates in their places."""
    vek, intermediate, root = milan().processor.certificates
    chain = {"vek": vek, "intermediate": intermediate, "root": root} | certificates
    evidence = of_machine(milan(), f"simulated Milan: {what}")
    return replace(evidence, certificates=tuple(chain.values()))


def reissued() -> Iterator[Evidence]:
    """Yield about 200 reports whose chain was issued otherwise."""
    yield under("issued anew", vek=vek_recipe(milan(), {}).issue())
    yield from _extension_values()
    yield from _more_extensions()
    yield from _vek_profiles()
    yield from _vek_keys()
    for role, place in ((Role.ASK, "intermediate"), (Role.ARK, "root")):
        for what, recipe in _ca_profiles(role):
            yield under(f"{role} {what}", **{place: recipe.issue()})
    yield from _other_intermediates()


def _extension_values() -> Iterator[Evidence]:
    machine = milan()
    chip, values = machine.chip_id, (b"", b"\x02\x00", b"\x02\x01\x00\x00", b"\x02\x02\x00\x01")
    spls = [(arc, b"\x02\x01" + bytes((n,))) for arc in _FIRST_EXTENSIONS for n in (0, 1, 127, 128)]
    long = [(arc, b"\x02\x02\x00" + bytes((n,))) for arc in _FIRST_EXTENSIONS for n in (128, 255)]
    odd = [(arc, value) for arc in _FIRST_EXTENSIONS for value in values]
    names = ("Milan", "Milan-B0", "Milan-B1", "Milan-Z9", "Genoa", "Genoa-B1", "Turin", "milan", "")
    texts = [("2", bytes((0x16, len(name))) + name.encode()) for name in names]
    tags = [("2", bytes((tag, 5)) + b"Milan") for tag in (0x0C, 0x13, 0x04)]
    wrapped = bytes((4, 64)) + chip
    chips = [("4", each) for each in (wrapped, chip[:8], chip + b"\0", bytes(64), chip[::-1])]
    for arc, value in (*spls, *long, *odd, *texts, *tags, *chips):
        what = f"VCEK with extension {arc} of {value[:12].hex() or 'nothing'}"
        yield under(what, vek=vek_recipe(machine, {arc: value}).issue())
    for arc in _FIRST_EXTENSIONS:
        yield under(f"VCEK without {arc}", vek=vek_recipe(machine, {arc: None}).issue())


def _more_extensions() -> Iterator[Evidence]:
    recipe = vek_recipe(milan(), {})
    identifier = x509.AuthorityKeyIdentifier(b"\1" * 20, None, None)
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    for what, extension, critical in (
        ("an authority key identifier", identifier, False),
        ("a critical authority key identifier", identifier, True),
        ("basicConstraints", constraints, False),
        ("keyUsage", key_usage(digital_signature=True), True),
        ("csp_id", unrecognized(f"{AMD_ARC}.5", b"\x16\x04CN=x"), False),
        ("an fmcSPL", unrecognized(f"{AMD_ARC}.3.9", b"\x02\x01\x00"), False),
        ("an unknown one of AMD", unrecognized(f"{AMD_ARC}.6", b"\x02\x01\x00"), False),
        ("an unknown one of nobody", unrecognized("1.2.3.4", b"\x05\x00"), False),
        ("an unknown critical one", unrecognized("1.2.3.4", b"\x05\x00"), True),
    ):
        more = replace(recipe, extensions=(*recipe.extensions, (extension, critical)))
        yield under(f"VCEK with {what}", vek=more.issue())
    for position, (one, _) in enumerate(recipe.extensions):
        changed = [*recipe.extensions]
        changed[position] = (one, True)
        critical_one = replace(recipe, extensions=tuple(changed))
        yield under(f"VCEK with {one.oid.dotted_string} critical", vek=critical_one.issue())


def _profiles(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    common = dict(recipe.subject)[NameOID.COMMON_NAME]
    yield "issued anew", recipe
    yield "not yet in force", replace(recipe, begin=_DAY)
    yield "no more in force", replace(recipe, begin=-_LIFE, end=-_DAY)
    yield "with serial number 2^150", replace(recipe, serial=1 << 150)
    for what, hashed in (("SHA-256", SHA256()), ("SHA-512", SHA512())):
        salted = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
        yield f"signed with {what}", replace(recipe, hash=hashed, padding=salted)
    short = padding.PSS(padding.MGF1(SHA384()), 20)
    yield "signed with 20 bytes of salt", replace(recipe, padding=short)
    yield "signed with PKCS #1 1.5", replace(recipe, padding=padding.PKCS1v15())
    for key, value in (
        ("COUNTRY_NAME", "DE"),
        ("LOCALITY_NAME", "Austin"),
        ("ORGANIZATION_NAME", "Advanced Micro Devices, Inc."),
        ("COMMON_NAME", f"{common}-"),
        ("STREET_ADDRESS", "One"),
        ("SERIAL_NUMBER", "1"),
    ):
        subject = attributes(common, **{key: value})
        yield f"with {key} {value} in its subject", replace(recipe, subject=subject)
        issuer = attributes(str(dict(recipe.issuer)[NameOID.COMMON_NAME]), **{key: value})
        yield f"with {key} {value} in its issuer", replace(recipe, issuer=issuer)
    yield "with its subject reversed", replace(recipe, subject=recipe.subject[::-1])


def _vek_profiles() -> Iterator[Evidence]:
    for what, recipe in _profiles(vek_recipe(milan(), {})):
        yield under(f"VCEK {what}", vek=recipe.issue())
    for common in ("SEV-VLEK", "SEV-Milan", "ARK-Milan", "SEV-VCEK-Milan"):
        recipe = replace(vek_recipe(milan(), {}), subject=attributes(common))
        yield under(f"VCEK named {common}", vek=recipe.issue())
    for position, (signer, name) in enumerate((("ark", "ARK-Milan"), ("ask", "SEV-VLEK-Milan"))):
        key = getattr(simulated.authority(Product.MILAN), f"{signer}_key")
        recipe = replace(vek_recipe(milan(), {}), signing_key=key, issuer=attributes(name))
        yield under(f"VCEK issued by {name} ({position})", vek=recipe.issue())


def _vek_keys() -> Iterator[Evidence]:
    """Yield chains with another kind of key, which has signed the report where it can."""
    evidence = under("")
    for curve in (ec.SECP256R1(), ec.SECP521R1(), ec.BrainpoolP384R1()):
        key = ec.generate_private_key(curve)
        recipe = replace(vek_recipe(milan(), {}), public_key=key.public_key())
        report = sign_report(evidence.report[:672], key)
        yield under(f"VCEK on {curve.name}", vek=recipe.issue())
        what = f"signed on {curve.name}"
        yield under(what, vek=recipe.issue()).but("its own signature", report=report)
    of_the_ask = simulated.authority(Product.MILAN).ask_key.public_key()
    recipe = replace(vek_recipe(milan(), {}), public_key=of_the_ask)
    yield under("VCEK with an RSA key", vek=recipe.issue())


def _ca_profiles(role: Role) -> Iterator[tuple[str, Recipe]]:
    recipe = ca_recipe(role)
    constraints, usage = recipe.extensions
    yield from _profiles(recipe)
    for what, extensions in (
        ("without extensions", ()),
        ("without basicConstraints", (usage,)),
        ("without keyUsage", (constraints,)),
        ("with basicConstraints that are not critical", ((constraints[0], False), usage)),
        ("with keyUsage that is not critical", (constraints, (usage[0], False))),
        ("that is no CA", ((x509.BasicConstraints(ca=False, path_length=None), True), usage)),
        ("with path length 3", ((x509.BasicConstraints(ca=True, path_length=3), True), usage)),
        ("with path length 0", ((x509.BasicConstraints(ca=True, path_length=0), True), usage)),
        ("of any path length", ((x509.BasicConstraints(ca=True, path_length=None), True), usage)),
        ("that may not sign", (constraints, (key_usage(digital_signature=True), True))),
        ("with a critical unknown", (constraints, usage, (unrecognized("1.2.3.4", b"\5\0"), True))),
        ("with an unknown", (constraints, usage, (unrecognized("1.2.3.4", b"\5\0"), False))),
    ):
        yield what, replace(recipe, extensions=extensions)


def _other_intermediates() -> Iterator[Evidence]:
    """Yield chains with an ASK whose key is not of AMD's size, and with one of another product."""
    for size, exponent in ((2048, 65537), (3072, 65537), (2048, 3)):
        key = rsa.generate_private_key(exponent, size)
        ask = replace(ca_recipe(Role.ASK), public_key=key.public_key())
        vek = replace(vek_recipe(milan(), {}), signing_key=key)
        what = f"ASK with RSA {size}, exponent {exponent}"
        yield under(what, vek=vek.issue(), intermediate=ask.issue())
    for common in ("SEV-Genoa", "SEV-VLEK-Milan", "ARK-Milan", "SEV-Milan-2"):
        ask = replace(ca_recipe(Role.ASK), subject=attributes(common))
        vek = replace(vek_recipe(milan(), {}), issuer=attributes(common))
        yield under(f"ASK named {common}", vek=vek.issue(), intermediate=ask.issue())


def _name(given: Attributes) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in given])
