// Reads env files as compose-go or godotenv do: a JSON list of texts on stdin, a list of objects on stdout, null for a
// text that is refused.
package main

import (
	"encoding/json"
	"os"
	"strings"

	compose "github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/joho/godotenv"
)

func read(reader, text string) (map[string]string, error) {
	if reader == "compose-go" {
		return compose.Parse(strings.NewReader(text))
	}
	return godotenv.Parse(strings.NewReader(text))
}

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		panic(err)
	}
	results := make([]map[string]string, len(texts))
	for index, text := range texts {
		if values, err := read(os.Args[1], text); err == nil {
			results[index] = values
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		panic(err)
	}
}
