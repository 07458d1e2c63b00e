// Writes each value as the encoders of Go's standard library do. In: a value in base64 a line. Out: the name of an
// encoder and what it made, in base64.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"os"
	"strconv"
	"text/template"
)

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	show := func(name, encoded string) {
		fmt.Fprintf(out, "%s\t%s\n", name, base64.StdEncoding.EncodeToString([]byte(encoded)))
	}
	for in.Scan() {
		data, _ := base64.StdEncoding.DecodeString(in.Text())
		text := string(data)
		made, _ := json.Marshal(text)
		show("json", string(made))
		nested, _ := json.Marshal(string(made))
		show("json in json", string(nested))
		var asXML bytes.Buffer
		xml.EscapeText(&asXML, data)
		show("xml", asXML.String())
		show("html", html.EscapeString(text))
		show("js", template.JSEscapeString(text))
		show("quote", strconv.Quote(text))
		show("quote ascii", strconv.QuoteToASCII(text))
		show("quote graphic", strconv.QuoteToGraphic(text))
		show("query", url.QueryEscape(text))
		show("path", url.PathEscape(text))
		show("url", (&url.URL{Scheme: "pg", User: url.UserPassword("app", text), Host: "db"}).String())
		show("%x", fmt.Sprintf("%x", data))
		show("% X", fmt.Sprintf("% X", data))
		show("%#x", fmt.Sprintf("% #x", data))
		show("%v", fmt.Sprintf("%v", data))
		show("%#v", fmt.Sprintf("%#v", data))
		show("%+q", fmt.Sprintf("%+q", text))
		show("dump", hex.EncodeToString(data))
		show("base64", base64.StdEncoding.EncodeToString(data))
		show("base64 raw url", base64.RawURLEncoding.EncodeToString(append([]byte("ab"), data...)))
	}
}
