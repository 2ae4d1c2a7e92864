"""Version 2 grants, written from docs/grants.md alone: a second implementation to check ours against.

`python3 grant_v2.py VECTORS.json` checks every case and prints what it checked; it ends with 1 at the first difference.
Needs the package `cryptography`.
"""

import base64
import binascii
import datetime
import hashlib
import json
import re
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_private_key

SHORT_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


def canonical_string(text):
    """One JSON string, character by character."""
    out = ['"']
    for char in text:
        code = ord(char)
        if char in SHORT_ESCAPES:
            out.append(SHORT_ESCAPES[char])
        elif code < 0x20 or 0xD800 <= code <= 0xDFFF:
            out.append("\\u%04x" % code)
        else:
            out.append(char)
    out.append('"')
    return "".join(out)


def utf16_order(texts):
    return sorted(texts, key=lambda text: text.encode("utf-16-be", "surrogatepass"))


def canonical_list(texts):
    return "[" + ",".join(canonical_string(text) for text in utf16_order(texts)) + "]"


def canonical_encoding(user_id, grant):
    derivation = grant["derivation"]
    parts = [
        canonical_string("mana-missions/grant/v2"),
        canonical_string(user_id),
        canonical_string(derivation["version"]),
        canonical_string(derivation["missionId"]),
        canonical_list(derivation["tables"]),
        canonical_list(derivation["recordIds"]),
        canonical_string(grant["issuedAt"]),
        canonical_string(grant["expiresAt"]),
    ]
    return ("[" + ",".join(parts) + "]").encode("utf-8")


def label_of(user_id, grant):
    return hashlib.sha256(canonical_encoding(user_id, grant)).digest()


def mission_data_key(master_key, user_id, grant):
    # UTF-8 has no lone surrogates: JavaScript writes U+FFFD in their place. Inside the encoding they are escaped.
    salt = re.sub("[\ud800-\udfff]", "\ufffd", grant["derivation"]["missionId"]).encode("utf-8")
    info = b"mana-ai-mission-grant:v2:" + canonical_encoding(user_id, grant)
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(master_key)


def oaep(label):
    return padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=label)


def epoch_ms(text):
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", text) is None:
        return None
    instant = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (instant - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(milliseconds=1)


def unwrap(private_key, user_id, grant, now_ms):
    """The 32 bytes, or the reason why there are none."""
    expires_at_ms = epoch_ms(grant["expiresAt"])
    if expires_at_ms is None or expires_at_ms <= now_ms:
        return "expired"
    try:
        wrapped = base64.b64decode(grant["wrappedKey"], validate=True)
    except binascii.Error:
        return "malformed"
    try:
        key = private_key.decrypt(wrapped, oaep(label_of(user_id, grant)))
    except ValueError:
        return "wrap-rejected"
    return key if len(key) == 32 else "malformed"


def check(vectors):
    private_key = load_pem_private_key(vectors["privateKeyPem"].encode(), password=None)
    master_key = base64.b64decode(vectors["masterKey"])
    for case in vectors["cases"]:
        user_id, grant, expected = case["userId"], case["grant"], case["expect"]
        found = {
            "canonicalSha256": hashlib.sha256(canonical_encoding(user_id, grant)).hexdigest(),
            "canonical": canonical_encoding(user_id, grant).decode("utf-8"),
            "label": label_of(user_id, grant).hex(),
            "mdk": base64.b64encode(mission_data_key(master_key, user_id, grant)).decode(),
        }
        for name, value in found.items():
            if name in case and case[name] != value:
                sys.exit("%s: %s is not what the file says" % (case["name"], name))
        unwrapped = unwrap(private_key, user_id, grant, case["nowMs"])
        if isinstance(unwrapped, bytes):
            result = {"ok": True, "mdk": base64.b64encode(unwrapped).decode()}
        else:
            result = {"ok": False, "reason": unwrapped}
        if result != expected:
            sys.exit("%s: unwrapping gives %s" % (case["name"], result if not result["ok"] else "another key"))
    return len(vectors["cases"])


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print("%d cases checked by Python cryptography" % check(json.load(file)))
