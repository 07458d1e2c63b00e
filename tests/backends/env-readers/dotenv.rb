# Reads env files as Ruby's dotenv does: a JSON list of texts on stdin, a list of objects on stdout.
require "json"
require "dotenv"

texts = JSON.parse($stdin.read)
puts JSON.generate(texts.map { |text| Dotenv::Parser.call(text) })
