# Writes each value as the encoders of Python's standard library do. In: a value in base64 a line. Out: the name of an
# encoder and what it made, in base64.
import ast, base64, binascii, csv, email.mime.text, html, io, json, pprint, quopri, shlex, sys, urllib.parse, xml.sax.saxutils


def table(text):
    out = io.StringIO()
    csv.writer(out).writerow([text])
    return out.getvalue().rstrip("\r\n")


def mime(data):
    return base64.encodebytes(b"prefix:" + data + b":and more text after it, for more than one line").decode()


for line in sys.stdin:
    data = base64.b64decode(line)
    text = data.decode()
    made = {
        "json": json.dumps(text),
        "json-unicode": json.dumps(text, ensure_ascii=False),
        "json in json": json.dumps(json.dumps({"a": text})),
        "repr": repr(text),
        "ascii": ascii(text),
        "bytes repr": repr(data),
        "quote": urllib.parse.quote(text),
        "quote all": urllib.parse.quote(text, safe=""),
        "quote_plus": urllib.parse.quote_plus(text),
        "quote twice": urllib.parse.quote(urllib.parse.quote(text)),
        "json in a url": urllib.parse.quote(json.dumps(text)),
        "html": html.escape(text),
        "json in html": html.escape(json.dumps(text)),
        "html ascii": html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
        "xml attribute": xml.sax.saxutils.quoteattr(text),
        "backslashreplace": text.encode("ascii", "backslashreplace").decode(),
        "unicode_escape": text.encode("unicode_escape").decode(),
        "shlex": shlex.quote(text),
        "shlex in json": json.dumps(shlex.quote(text)),
        "csv": table(text),
        "pprint": pprint.pformat([text, 1], width=30),
        "hex": data.hex(),
        "hex:": data.hex(":").upper(),
        "hex-2": binascii.hexlify(data, " ", 2).decode(),
        "hex numbers": str([hex(byte) for byte in data]),
        "list": str(list(data)),
        "quoted-printable": quopri.encodestring(data).decode("latin-1"),
        "base64 with lines": base64.encodebytes(data).decode(),
        "base64 inside": mime(data),
        "base64url": base64.urlsafe_b64encode(b"?" + data + b"~").decode(),
    }
    for name, encoded in made.items():
        print(name, base64.b64encode(encoded.encode()).decode(), sep="\t")
    for encoding in ("utf-16-le", "utf-16-be", "utf-16"):
        print(encoding, base64.b64encode(text.encode(encoding)).decode(), sep="\t")
        inside = base64.b64encode(("Write-Host " + text + " #").encode(encoding))
        print(encoding + " in base64", base64.b64encode(inside).decode(), sep="\t")
