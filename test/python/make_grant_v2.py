"""Made test/vectors/grant-v2.json: `python3 make_grant_v2.py grant.json grant-v2.json`.

Wrapping is randomised, so another run gives other wrapped keys; everything else comes out the same. The RSA pair and
the master key are those of grant.json, made up for tests.
"""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.serialization import load_pem_public_key

import grant_v2

ISSUED_AT = "2026-01-05T08:00:00.000Z"
EXPIRES_AT = "2099-01-12T08:00:00.000Z"
EXPIRES_AT_MS = grant_v2.epoch_ms(EXPIRES_AT)
USER = "user-3b1f"


def main(source, target):
    with open(source, encoding="utf-8") as file:
        given = json.load(file)
    public_key = load_pem_public_key(given["publicKeyPem"].encode())
    master_key = base64.b64decode(given["masterKey"])
    cases = []

    def mint(mission_id, tables, record_ids, issued_at=ISSUED_AT, expires_at=EXPIRES_AT, user=USER, inside=None):
        grant = {
            "derivation": {"version": "v2", "missionId": mission_id, "tables": tables, "recordIds": record_ids},
            "issuedAt": issued_at,
            "expiresAt": expires_at,
        }
        key = grant_v2.mission_data_key(master_key, user, grant)
        wrapped = public_key.encrypt(key if inside is None else inside, grant_v2.oaep(grant_v2.label_of(user, grant)))
        return dict(wrappedKey=base64.b64encode(wrapped).decode(), **grant), base64.b64encode(key).decode()

    def add(name, minted, reason=None, now_ms=EXPIRES_AT_MS - 86_400_000, user=USER, change=None):
        grant, mdk = minted
        if change is not None:
            grant = change(json.loads(json.dumps(grant)))
        canonical = grant_v2.canonical_encoding(user, grant)
        case = {"name": name, "userId": user, "nowMs": now_ms, "grant": grant}
        if len(canonical) <= 600:
            case["canonical"] = canonical.decode("utf-8")
        case["canonicalSha256"] = hashlib.sha256(canonical).hexdigest()
        case["label"] = grant_v2.label_of(user, grant).hex()
        case["mdk"] = base64.b64encode(grant_v2.mission_data_key(master_key, user, grant)).decode()
        case["expect"] = {"ok": True, "mdk": mdk} if reason is None else {"ok": False, "reason": reason}
        cases.append(case)

    plain = mint("mission-1", ["notes"], ["notes:n1"])
    two = mint("mission-1", ["notes", "tasks"], ["notes:a", "notes:z", "tasks:b"])
    add("one record", plain)
    add("two tables, three records", two)

    def shuffled(grant):
        grant["derivation"]["tables"].reverse()
        grant["derivation"]["recordIds"].reverse()
        return grant

    add("the same, lists in another order: order has no meaning", two, change=shuffled)
    add("duplicates stay", mint("mission-1", ["notes", "notes"], ["notes:n1", "notes:n1"]))

    def once(grant):
        grant["derivation"]["recordIds"] = ["notes:n1"]
        return grant

    add("a duplicate removed", mint("mission-1", ["notes"], ["notes:n1", "notes:n1"]), "wrap-rejected", change=once)
    add(
        "unicode: sorted by UTF-16 code units, not by code points, not normalised",
        mint("Ziel-ß-\U0001f3af", ["notes"], ["notes:\U0001f3af", "notes:\uff5e", "notes:e\u0301", "notes:\u00e9"]),
    )
    add(
        "every escape: quote, backslash, control characters; not DEL, not U+2028, not the slash",
        mint('m"\\/', ["a\b\f\n\r\t", "\u0000\u0001\u001f"], ["\u007f:\u2028\u2029", "<:&>"]),
    )
    add("lone surrogates are escaped", mint("m-\ud800", ["\udfff"], ["notes:\udc00\ud800"]))
    add("texts that look like the encoding", mint('","v2",', ['["notes"]'], ["a,b:c", 'notes:n1","notes:n2']))
    add("an empty user id", mint("mission-1", ["notes"], ["notes:n1"], user=""), user="")
    add("dates are taken as the texts they are", mint("mission-1", ["notes"], ["notes:n1"], "2026-01-05T08:00:00Z"))
    ids = lambda count: ["notes:%08d-0000-4000-8000-000000000000" % index for index in range(count)]
    add("23 records: `info` exceeds 1024 bytes", mint("mission-1", ["notes"], ids(23)))
    add("1000 records", mint("mission-1", ["notes"], ids(1000)))

    add("a millisecond before its expiry", plain, now_ms=EXPIRES_AT_MS - 1)
    add("at its expiry", plain, "expired", now_ms=EXPIRES_AT_MS)
    add("an expiry that is no date", plain, "expired", change=lambda grant: dict(grant, expiresAt="soon"))
    later = "2099-01-12T08:00:00.001Z"
    add("expiry moved by a millisecond", plain, "wrap-rejected", change=lambda grant: dict(grant, expiresAt=later))
    moved = "2026-01-05T08:00:00.001Z"
    add("issue moved by a millisecond", plain, "wrap-rejected", change=lambda grant: dict(grant, issuedAt=moved))
    same = "2099-01-12T08:00:00Z"
    add("the same expiry written otherwise", plain, "wrap-rejected", change=lambda grant: dict(grant, expiresAt=same))
    add("of another user", plain, "wrap-rejected", user="user-3b1g")

    def derive(**parts):
        return lambda grant: dict(grant, derivation=dict(grant["derivation"], **parts))

    add("of another mission", plain, "wrap-rejected", change=derive(missionId="mission-2"))
    add("a table more", plain, "wrap-rejected", change=derive(tables=["notes", "tasks"]))
    add("a record more", plain, "wrap-rejected", change=derive(recordIds=["notes:n1", "notes:n2"]))
    add("another record", plain, "wrap-rejected", change=derive(recordIds=["notes:n2"]))
    add("31 bytes inside", mint("mission-1", ["notes"], ["notes:n1"], inside=b"x" * 31), "malformed")
    add("33 bytes inside", mint("mission-1", ["notes"], ["notes:n1"], inside=b"x" * 33), "malformed")
    add("no base64", plain, "malformed", change=lambda grant: dict(grant, wrappedKey="no base64!"))

    vectors = {
        "note": "Grants of version 2, see docs/grants.md; made by test/python/make_grant_v2.py with Python cryptography. "
        "Keys and texts are made up for tests. canonical is left out where it is long.",
        "publicKeyPem": given["publicKeyPem"],
        "privateKeyPem": given["privateKeyPem"],
        "masterKey": given["masterKey"],
        "cases": cases,
    }
    with open(target, "w", encoding="utf-8") as file:
        json.dump(vectors, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
